/** Values against schemas: zod and plain JSON Schema, with the same sentences at the user's own paths. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { formatPath } from '../../../../plugins/sdk/issues.ts';
import type { ValueSchema } from '../../../../plugins/sdk/contracts/value-schema.ts';
import { checkValue, issuesOf } from '../../../../plugins/sdk/schema-check/check-value.ts';
import { adaptationSpecSchema } from '../../../../schemas/spec/adaptation-spec.ts';
import { pipelineSpecSchema } from '../../../../schemas/spec/pipeline-spec.ts';
import { GOOD_SPECS } from '../../../fixtures/specs.ts';

function said(schema: ValueSchema, raw: unknown): string[] {
  return issuesOf(schema, raw).map(({ path, message }) => `${formatPath(path)}: ${message}`);
}

const schema = z
  .strictObject({
    target: z.number().min(0).max(1),
    budget: z.strictObject({ seconds: z.int().min(1) }),
    names: z.array(z.string().min(1).max(5)).max(3).default([]),
    format: z.enum(['csv', 'parquet']).optional(),
    id: z
      .string()
      .regex(/^[a-z]+$/)
      .optional(),
  })
  .refine(({ names, target }) => names.length > 0 || target < 1, { message: 'a target of 1 needs names' });

suite('what is wrong with a value, in the words of somebody who writes JSON', () => {
  const good = { target: 0.8, budget: { seconds: 600 } };
  const cases: readonly (readonly [unknown, string])[] = [
    [{ ...good, target: '0,8' }, 'target: is "0,8", not a number.'],
    [{ ...good, target: null }, 'target: is null, not a number.'],
    [{ budget: good.budget }, 'target: is missing; a number is expected.'],
    [{ ...good, target: 2 }, 'target: is 2; the maximum is 1.'],
    [{ ...good, budget: { seconds: 1.5 } }, 'budget.seconds: is 1.5, not a whole number.'],
    [{ ...good, budget: { seconds: 0 } }, 'budget.seconds: is 0; the minimum is 1.'],
    [{ ...good, budget: 10 }, 'budget: is 10, not an object.'],
    [{ ...good, names: ['a', 1] }, 'names[1]: is 1, not text in quotes.'],
    [{ ...good, names: [''] }, 'names[0]: is empty.'],
    [{ ...good, names: ['abcdef'] }, 'names[0]: has 6 characters; the maximum is 5.'],
    [{ ...good, names: ['a', 'b', 'c', 'd'] }, 'names: has 4 entries; the maximum is 3.'],
    [
      { ...good, format: 'parqet' },
      'format: is "parqet"; possible are "csv", "parquet". Did you mean "parquet"?',
    ],
    [{ ...good, id: 'A b' }, 'id: is "A b", which does not match ^[a-z]+$.'],
    [{ ...good, targt: 1 }, 'targt: is not a known field. Did you mean "target"?'],
    [{ ...good, budget: { seconds: 1, names: [] } }, 'budget.names: is not a known field here.'],
    [[], ': is [], not an object.'],
    [{ ...good, target: 1 }, ': a target of 1 needs names'],
  ];
  for (const [raw, message] of cases)
    test(`${JSON.stringify(raw)}: ${message}`, () => assert.deepEqual(said(schema, raw), [message]));

  test('a long value is cut', () => {
    const [message] = said(schema, { ...good, target: 'x'.repeat(1000) });
    assert.match(message ?? '', /^target: is "x{59}…, not a number\.$/);
  });

  test('all issues at once, each place once', () => {
    assert.deepEqual(said(schema, { target: 7, budget: { second: 1 } }), [
      'target: is 7; the maximum is 1.',
      'budget.seconds: is missing; a whole number is expected.',
      'budget.second: is not a known field. Did you mean "seconds"?',
    ]);
  });

  test('a good value comes back with its defaults', () => {
    assert.deepEqual(checkValue(schema, good), { success: true, data: { ...good, names: [] } });
  });
});

suite('unions are explained by the branch that was meant', () => {
  const node = { id: 'a', form: 'step', uses: 'curate.read@1' };
  const pipeline = (...nodes: unknown[]) => said(pipelineSpecSchema, { name: 'p', nodes });
  const cases: readonly (readonly [unknown, string])[] = [
    [
      { ...node, form: 'stp' },
      'nodes[0].form: is "stp"; possible are "step", "map", "approval". Did you mean "step"?',
    ],
    [{ ...node, form: undefined }, 'nodes[0].form: is missing; possible are "step", "map", "approval".'],
    [{ ...node, afer: [] }, 'nodes[0].afer: is not a known field. Did you mean "after"?'],
    [
      { ...node, uses: 'read' },
      'nodes[0].uses: is "read", which does not match ^[a-z][a-z0-9.-]{0,60}@[1-9][0-9]*$.',
    ],
    ['read', 'nodes[0]: is "read", not an object.'],
    [
      { id: 'm', form: 'map', over: 'rows', body: [node] },
      'nodes[0].over: is "rows", which does not match ^\\$\\{[^}]+\\}$.',
    ],
    [{ id: 'm', form: 'map', over: 3, body: [node] }, 'nodes[0].over: is 3, not a list or text in quotes.'],
  ];
  for (const [raw, message] of cases) test(message, () => assert.deepEqual(pipeline(raw), [message]));

  test('a data source with a path, or with an artifact', () => {
    const [spec] = GOOD_SPECS as readonly { data: object }[];
    const source = (value: unknown) =>
      said(adaptationSpecSchema, { ...spec, data: { ...spec?.data, source: value } });
    assert.deepEqual(source({ path: 'a.csv', formt: 'csv' }), [
      'data.source.formt: is not a known field. Did you mean "format"?',
    ]);
    assert.deepEqual(source({ path: 'a.csv', format: 'xls' }), [
      'data.source.format: is "xls"; possible are "csv", "tsv", "jsonl", "parquet".',
    ]);
    assert.deepEqual(source('a.csv'), ['data.source: is "a.csv", not an object.']);
  });

  test('thousands of mistakes take no more than a moment', () => {
    const nodes = Array.from({ length: 8000 }, () => ({ id: 1, form: 'x', over: {} }));
    const started = process.cpuUsage();
    const issues = said(pipelineSpecSchema, { name: 'p', nodes });
    assert.ok(issues.length >= 200, `${issues.length} issues`);
    assert.ok(process.cpuUsage(started).user < 5e6);
  });
});

suite('a plain JSON Schema, for authors without zod', () => {
  const plain = {
    type: 'object',
    properties: {
      url: { type: 'string', minLength: 1 },
      retries: { type: 'integer', minimum: 0, default: 2 },
    },
    required: ['url'],
    additionalProperties: false,
  };

  test('gives the same sentences', () => {
    assert.deepEqual(said(plain, { urll: 'x', retries: -1 }), [
      'url: is missing; text in quotes is expected.',
      'urll: is not a known field. Did you mean "url"?',
      'retries: is -1; the minimum is 0.',
    ]);
  });

  test('fills in defaults, and leaves what was given as it was', () => {
    const raw = { url: 'x' };
    assert.deepEqual(checkValue(plain, raw), { success: true, data: { url: 'x', retries: 2 } });
    assert.deepEqual(raw, { url: 'x' });
  });

  test('a keyword that does not exist is an error of the schema', () => {
    assert.throws(() => checkValue({ type: 'object', propertis: {} }, {}), /unknown keyword: "propertis"/);
  });

  test('a zod schema with a note of its own is checked by zod alone', () => {
    const noted = z.strictObject({ a: z.number() }).meta({ 'x-form': 'slider' });
    assert.equal(checkValue(noted, { a: 1 }).success, true);
    assert.equal(checkValue(noted, { a: '1' }).success, false);
  });
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { describeIssue } from '../../../plugins/sdk/issues.ts';

const schema = z.strictObject({
  target: z.number().max(1),
  budget: z.strictObject({ seconds: z.int() }),
  names: z.array(z.string()).default([]),
});

function said(raw: unknown): string[] {
  const { error } = schema.safeParse(raw);
  return (error?.issues ?? []).map((issue) => describeIssue(issue, raw));
}

suite('issues quote what was written', () => {
  const good = { target: 0.8, budget: { seconds: 600 } };
  const cases: readonly (readonly [unknown, string])[] = [
    [{ ...good, target: '0,8' }, 'is "0,8", not a number.'],
    [{ ...good, target: null }, 'is null, not a number.'],
    [{ budget: good.budget }, 'is missing; a number is expected.'],
    [{ ...good, budget: { seconds: 1.5 } }, 'is 1.5, not a whole number.'],
    [{ ...good, budget: 10 }, 'is 10, not an object.'],
    [{ ...good, names: ['a', 1] }, 'is 1, not text in quotes.'],
    [[], 'is [], not an object.'],
  ];
  for (const [raw, message] of cases)
    test(`${JSON.stringify(raw)}: ${message}`, () => assert.deepEqual(said(raw), [message]));

  test('a long value is cut', () => {
    const [message] = said({ ...good, target: 'x'.repeat(1000) });
    assert.match(message ?? '', /^is "x{59}…, not a number\.$/);
  });

  test('other issues keep their words', () => {
    assert.match(said({ ...good, target: 2 })[0] ?? '', /Too big/);
  });
});

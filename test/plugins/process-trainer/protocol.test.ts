import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { ERROR_CODES } from '../../../schemas/errors/error-codes.ts';
import { loraConfigSchema } from '../../../schemas/spec/lora-config.ts';
import {
  capabilitiesSchema,
  messageSchema,
  METHODS,
  trainRowSchema,
} from '../../../plugins/process-trainer/worker/protocol.ts';
import { REPORTED_CODES } from '../../../plugins/process-trainer/worker/trainer-errors.ts';

const root = new URL('../../../', import.meta.url);
const page = await readFile(new URL('plugins/process-trainer/PROTOCOL.md', root), 'utf8');
const jsonSchema = JSON.parse(
  await readFile(new URL('schemas/generated/trainer-protocol.json', root), 'utf8'),
) as object;
const validate = new Ajv2020({ strict: false }).compile(jsonSchema);

const examples = page
  .split('\n')
  .filter((line) => /^[→←] /.test(line))
  .map((line) => JSON.parse(line.slice(2)) as object);

suite('trainer protocol', () => {
  test('every example of the page fits the schemas, by zod and as JSON Schema', () => {
    assert.ok(examples.length >= 9, `${examples.length} examples`);
    for (const example of examples) {
      assert.ok(messageSchema.safeParse(example).success, JSON.stringify(example));
      assert.ok(validate(example), `${JSON.stringify(example)}: ${JSON.stringify(validate.errors)}`);
    }
  });

  test('what is not in the protocol fits neither', () => {
    const [hello = {}, handshake = {}] = examples;
    const wrong = [
      { ...hello, v: 2 },
      { ...hello, more: 1 },
      { ...handshake, result: {} },
      { v: 1, id: 2, event: { kind: 'progress', step: 0 } },
      { v: 1, id: 2 },
    ];
    for (const message of wrong) {
      assert.equal(messageSchema.safeParse(message).success, false, JSON.stringify(message));
      assert.equal(validate(message), false, JSON.stringify(message));
    }
  });

  test('the page names every method, field, event and code', () => {
    const named = [...page.matchAll(/^\| `(\w+)` +\|/gm)].map((match) => match[1] ?? '');
    assert.deepEqual(
      named.sort(),
      [...Object.keys(METHODS), ...METHODS.train.event.options.map(({ shape }) => shape.kind.value)].sort(),
    );
    const fields = [
      ...Object.values(METHODS).flatMap(({ params, result }) => [params, result]),
      ...METHODS.train.event.options,
      capabilitiesSchema,
      loraConfigSchema,
      trainRowSchema,
    ].flatMap(({ shape }) => Object.keys(shape));
    for (const word of [...fields, ...REPORTED_CODES]) assert.match(page, new RegExp(`\\b${word}\\b`), word);
    for (const [code] of page.matchAll(/\b(?:TRAINER|TRAINING|MODEL|CHECKPOINT)_[A-Z_]+[A-Z]\b/g))
      assert.ok(Object.hasOwn(ERROR_CODES, code), code);
  });
});

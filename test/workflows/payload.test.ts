import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_HISTORY_BYTES, MAX_HISTORY_EVENTS } from '../../schemas/plan/constants.ts';
import { guardHistory, guardPayload, jsonBytes } from '../../workflows/shared/payload.ts';

test('sizes are those of the JSON that is sent', () => {
  for (const value of [null, 1.5, 'Ünd "so" \n 模型 😀', [1, { a: [true, 'é'] }], {}])
    assert.equal(jsonBytes(value), Buffer.byteLength(JSON.stringify(value)));
  assert.equal(jsonBytes(JSON.parse('['.repeat(50_000) + ']'.repeat(50_000))), null);
});

test('a value that fits passes, one byte more does not', () => {
  guardPayload('x', 'a'.repeat(98), 100);
  assert.throws(() => guardPayload('pipeline/x: the input', 'a'.repeat(99), 100), {
    type: 'PAYLOAD_TOO_LARGE',
    message: /^pipeline\/x: the input has 101 bytes as JSON; at most 100 fit\./,
  });
});

test('a history that is nearly full takes no further step', () => {
  const info = (historyLength: number, historySize: number) => ({ historyLength, historySize }) as never;
  guardHistory(info(MAX_HISTORY_EVENTS, MAX_HISTORY_BYTES));
  for (const full of [info(MAX_HISTORY_EVENTS + 1, 0), info(0, MAX_HISTORY_BYTES + 1)])
    assert.throws(() => guardHistory(full), { type: 'HISTORY_FULL', message: /Divide it into several runs/ });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOption } from '../../../cli/lib/number-option.ts';

const score = numberOption('--target', { min: 0, max: 1, wanted: 'a score from 0 to 1, such as 0.8' });
const seconds = numberOption('--budget', { min: 1, max: 1e6, integer: true, wanted: 'whole seconds' });

test('plain numbers', () => {
  assert.equal(score('0.8'), 0.8);
  assert.equal(score('.5'), 0.5);
  assert.equal(seconds('600'), 600);
  assert.equal(seconds('1e3'), 1000);
});

test('whatever else was written is quoted, with what is wanted', () => {
  for (const text of ['80%', '0,8', '80', 'much', '', ' ', '0x1', 'Infinity', 'NaN', '-0.1'])
    assert.throws(() => score(text), {
      code: 'INVALID_SPEC',
      message: `--target: "${text}" is not a score from 0 to 1, such as 0.8.`,
    });
  for (const text of ['10m', '1h', '0', '2.5', '600 s'])
    assert.throws(() => seconds(text), { message: `--budget: "${text}" is not whole seconds.` });
});

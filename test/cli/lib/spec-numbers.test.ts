import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withNumbers } from '../../../cli/lib/spec-numbers.ts';
import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';

const SPEC: AdaptationSpecInput = {
  name: 'x',
  task: { instruction: 'Say it.' },
  data: { source: { path: 'rows.csv' }, columns: { input: 'a', output: 'b' } },
  target: 0.5,
  budget: { seconds: 900, tokens: 1000 },
  seed: 3,
};

test('a budget of seconds leaves the limit of tokens as it is', () => {
  assert.deepEqual(withNumbers(SPEC, { budget: 600 }).budget, { seconds: 600, tokens: 1000 });
});

test('only what is given changes; zero is a number', () => {
  assert.deepEqual(withNumbers(SPEC, {}), SPEC);
  assert.deepEqual(withNumbers(SPEC, { seed: 0, target: 0 }), { ...SPEC, seed: 0, target: 0 });
});

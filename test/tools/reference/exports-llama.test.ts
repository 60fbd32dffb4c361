import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference } from '../../../tools/reference/exports-llama.ts';

const steps = [
  { textBefore: '', gap: 3 },
  { textBefore: 'It', gap: 0.25 },
  { textBefore: 'It was', gap: 2 },
];

test('where a reply leaves ours: the first token that ours does not continue with', () => {
  const theirs = { promptTokens: 7, text: 'It was so', steps };
  const ours = (text: string, promptTokens = 7) => ({ text, promptTokens, newTokens: 3 });
  assert.deepEqual(difference(ours('It was so'), theirs, 4), []);
  assert.deepEqual(difference(ours('It is so'), theirs, 4), [{ prompt: 4, at: 1, gap: 0.25 }]);
  assert.deepEqual(difference(ours('It was not'), theirs, 4), [{ prompt: 4, at: 2, gap: 2 }]);
  assert.throws(
    () => difference(ours('It was so', 8), theirs, 4),
    /prompt 4 .*8 tokens here, 7 in llama\.cpp/,
  );
});

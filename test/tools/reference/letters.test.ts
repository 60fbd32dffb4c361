import assert from 'node:assert/strict';
import { test } from 'node:test';
import { letterRows } from '../../../tools/reference/letters.ts';

test('a letter names its product and every number of its passage; a seed gives the same rows again', () => {
  const rows = letterRows(12, 5);
  for (const { messages, answer } of rows) {
    const content = messages[0]?.content ?? '';
    const name = /^The (.*?) is new/.exec(content)?.[1] ?? '-';
    assert.ok(answer.includes(name));
    const numbers = content.match(/\d+/g) ?? [];
    assert.equal(numbers.length, 4);
    for (const number of numbers) assert.match(answer, new RegExp(`\\b${number}\\b`));
  }
  assert.deepEqual(letterRows(12, 5), rows);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowFamily } from '../../../../plugins/sdk/row-family.ts';
import { searchOthers } from '../../../../plugins/steps/retrieve/search-others.ts';

const indexOf = (ids: readonly string[]) => ({
  asked: [] as number[],
  async doSearch(_query: string, limit: number) {
    this.asked.push(limit);
    return ids.slice(0, limit).map((id, at) => ({ id, score: -at }));
  },
  close: async () => undefined,
});

const found = async (ids: readonly string[], id: string, limit: number, answers = () => true) =>
  (await searchOthers(indexOf(ids), { id, input: '' }, limit, answers)).map((hit) => hit.id);

test('the family of a row is the row and all that was derived from it', () => {
  for (const id of ['r7', 'r7.b1', 'r7.b1.p12']) assert.equal(rowFamily(id), 'r7');
  assert.notEqual(rowFamily('r7#0'), 'r7');
  assert.notEqual(rowFamily('r71'), 'r7');
});

test('a row finds neither itself nor its copies, and the best others keep their order', async () => {
  assert.deepEqual(await found(['r1', 'r2', 'r1.b1', 'r3'], 'r1', 2), ['r2', 'r3']);
  assert.deepEqual(await found(['r1.b1', 'r2', 'r1'], 'r1.p1', 2), ['r2']);
});

test('many copies do not use up the hits', async () => {
  const copies = Array.from({ length: 40 }, (_, at) => `r1.b${at + 1}`);
  assert.deepEqual(await found([...copies, 'r2', 'r3'], 'r1', 2), ['r2', 'r3']);
});

test('a row of another dataset that has the same id, but not the answer, is found', async () => {
  assert.deepEqual(await found(['r1', 'r2'], 'r1', 2, () => false), ['r1', 'r2']);
});

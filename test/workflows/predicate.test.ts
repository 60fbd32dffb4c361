import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '../../workflows/adapt/predicate.ts';

const facts = { target: 0.5, 'best.low': 0.6, 'rungs.icl.eligible': true };

test('compares facts with facts and with constants', () => {
  assert.equal(evaluate([{ fact: 'best.low', op: '>=', value: { fact: 'target' } }], facts).holds, true);
  assert.equal(evaluate([{ fact: 'best.low', op: '<', value: 0.6 }], facts).holds, false);
  assert.equal(evaluate([{ fact: 'rungs.icl.eligible', op: '==', value: true }], facts).holds, true);
});

test('all comparisons must hold, and the compared values are kept', () => {
  const { holds, comparisons } = evaluate(
    [
      { fact: 'best.low', op: '>', value: 0 },
      { fact: 'target', op: '!=', value: 0.5 },
    ],
    facts,
  );
  assert.equal(holds, false);
  assert.deepEqual(
    comparisons.map(({ left, right }) => [left, right]),
    [
      [0.6, 0],
      [0.5, 0.5],
    ],
  );
});

test('a fact that was never established holds no ordering', () => {
  assert.equal(evaluate([{ fact: 'rungs.rag.low', op: '>=', value: 0 }], facts).holds, false);
  assert.equal(evaluate([{ fact: 'rungs.rag.low', op: '<', value: 1 }], facts).holds, false);
});

test('of what is unknown nothing holds, compared with anything and with itself', () => {
  const unknown = { fact: 'rungs.peft.low' } as const;
  for (const op of ['>=', '>', '<=', '<', '==', '!='] as const) {
    for (const value of [unknown, 0, true, 'unknown', { fact: 'target' }]) {
      const { holds, comparisons } = evaluate([{ fact: 'rungs.rag.low', op, value }], facts);
      assert.equal(holds, false, `${op} ${JSON.stringify(value)}`);
      assert.deepEqual([comparisons[0]?.left, comparisons[0]?.holds], ['unknown', false]);
    }
    assert.equal(evaluate([{ fact: 'target', op, value: unknown }], facts).holds, false, op);
  }
});

test('values of different types are unequal and have no order', () => {
  assert.equal(evaluate([{ fact: 'target', op: '!=', value: 'a' }], facts).holds, true);
  assert.equal(evaluate([{ fact: 'target', op: '<', value: 'a' }], facts).holds, false);
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { outputOf, toJson } from '../../workflows/shared/plan-border.ts';

interface Typed {
  readonly id: string;
  readonly score: { readonly value: number | null };
  readonly note?: string;
}

suite('the border between typed workflow code and a plan', () => {
  test('a typed value goes in as it is; the compiler refuses what JSON would lose', () => {
    const value: Typed = { id: 'a', score: { value: null } };
    assert.equal(toJson(value), value);
    // @ts-expect-error a function does not survive JSON
    toJson({ run: () => 1 });
    // @ts-expect-error a bigint neither
    toJson({ nested: [{ count: 1n }] });
  });

  test('an output comes out by its node; a plan without the node is a fault with a code', () => {
    assert.deepEqual(outputOf<Typed>({ result: { id: 'a' } }, 'result'), { id: 'a' });
    assert.throws(
      () => outputOf<Typed>({ other: 1 }, 'result'),
      (error) =>
        error instanceof ApplicationFailure && error.type === 'INTERNAL' && /"result"/.test(error.message),
    );
  });
});

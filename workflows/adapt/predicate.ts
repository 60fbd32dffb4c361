import type { Comparison, Facts, FactValue } from '../../schemas/adapt/flowchart.ts';

export interface Evaluated {
  readonly holds: boolean;
  readonly comparisons: readonly (Comparison & { readonly left: FactValue; readonly right: FactValue })[];
}

function compare(left: FactValue, is: Comparison['is'], right: FactValue): boolean {
  switch (is) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '>=':
      return left >= right;
    case '>':
      return left > right;
    case '<=':
      return left <= right;
    case '<':
      return left < right;
  }
}

/** A fact that was never established makes every ordering comparison false: nothing is assumed in its favour. */
const UNKNOWN = 'unknown';

/** Evaluates the comparisons of an `ask` node and keeps the values that were compared, for the record. */
export function evaluate(all: readonly Comparison[], facts: Facts): Evaluated {
  const comparisons = all.map((comparison) => {
    const { than } = comparison;
    const left = facts[comparison.fact] ?? UNKNOWN;
    const right = typeof than === 'object' ? (facts[than.fact] ?? UNKNOWN) : than;
    return { ...comparison, left, right };
  });
  const holds = comparisons.every(
    ({ left, is, right }) =>
      (typeof left === typeof right || is === '==' || is === '!=') && compare(left, is, right),
  );
  return { holds, comparisons };
}

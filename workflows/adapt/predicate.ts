import type { PathStep } from '../../schemas/outcome/decision.ts';
import type { Comparison, Facts, FactValue } from '../../schemas/spec/flowchart.ts';

export interface Evaluated {
  readonly holds: boolean;
  readonly comparisons: PathStep['comparisons'];
}

function compare(left: FactValue, op: Comparison['op'], right: FactValue): boolean {
  switch (op) {
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

/** What the record shows in the place of a fact that was never established. */
const UNKNOWN = 'unknown';

/**
 * Evaluates the comparisons of an `ask` node and keeps the values that were compared, for the record. A comparison with
 * a fact that was never established does not hold, whatever its sign: nothing is assumed in favour of either answer.
 */
export function evaluate(all: readonly Comparison[], facts: Facts): Evaluated {
  const comparisons = all.map((comparison) => {
    const { op, value } = comparison;
    const left = facts[comparison.fact];
    const right = typeof value === 'object' ? facts[value.fact] : value;
    const known = left !== undefined && right !== undefined;
    const holds = known && comparable(left, op, right) && compare(left, op, right);
    return { ...comparison, left: left ?? UNKNOWN, right: right ?? UNKNOWN, holds };
  });
  return { holds: comparisons.every(({ holds }) => holds), comparisons };
}

/** Values of different types have no order. */
function comparable(left: FactValue, op: Comparison['op'], right: FactValue): boolean {
  return op === '==' || op === '!=' || typeof left === typeof right;
}

import type { BalanceInput } from './options.ts';

/** How many of a class's own rows stay, and how many rows it has in the end. */
export interface Target {
  readonly keep: number;
  readonly after: number;
}

type Rule = Pick<BalanceInput, 'method' | 'maxRatio' | 'maxRepeats' | 'maxRowsPerClass'>;

/** Targets of classes of these sizes (1 or more), in the same order. */
export function targetsOf(sizes: readonly number[], rule: Rule): Target[] {
  const { low, high } = boundsOf(sizes, rule);
  return sizes.map((size) => {
    const keep = Math.min(size, high);
    return { keep, after: Math.max(keep, Math.min(low, size * rule.maxRepeats)) };
  });
}

/** What every class should have at least and at most. */
function boundsOf(sizes: readonly number[], { method, maxRatio, maxRowsPerClass }: Rule) {
  const cap = maxRowsPerClass ?? Number.POSITIVE_INFINITY;
  const sorted = sizes.map((size) => Math.min(size, cap)).sort((a, b) => a - b);
  const [smallest = 0, middle = 0, largest = 0] = [
    sorted[0],
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted.at(-1),
  ];
  switch (method) {
    case 'under':
      return { low: 0, high: Math.min(cap, Math.floor(smallest * maxRatio)) };
    case 'over':
      return { low: Math.ceil(largest / maxRatio), high: cap };
    case 'both': {
      const low = Math.ceil(middle / Math.sqrt(maxRatio));
      return { low, high: Math.min(cap, Math.max(low, Math.floor(low * maxRatio))) };
    }
  }
}

/** The largest by the smallest, to three places; 1 of no sizes. */
export function ratioOf(sizes: readonly number[]): number {
  if (sizes.length === 0) return 1;
  return Math.round((1000 * Math.max(...sizes)) / Math.min(...sizes)) / 1000;
}

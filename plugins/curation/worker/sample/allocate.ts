/**
 * Shares `rows` out over strata of these sizes (none of them empty; together at least `rows`). `proportional`: by size,
 * the largest remainders first, and one row of each as long as there are enough. `equal`: as even as the sizes allow.
 */
export function allocate(
  sizes: readonly number[],
  rows: number,
  allocation: 'proportional' | 'equal',
): number[] {
  return allocation === 'equal' ? evenly(sizes, rows) : proportionally(sizes, rows);
}

function evenly(sizes: readonly number[], rows: number): number[] {
  const take = sizes.map(() => 0);
  // Small strata first: what they cannot give, the larger ones share.
  const order = [...sizes.keys()].sort((a, b) => (sizes[a] ?? 0) - (sizes[b] ?? 0) || a - b);
  let left = rows;
  for (const [at, index] of order.entries()) {
    take[index] = Math.min(sizes[index] ?? 0, Math.floor(left / (order.length - at)));
    left -= take[index];
  }
  return take;
}

function proportionally(sizes: readonly number[], rows: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const least = rows >= sizes.length ? 1 : 0;
  const exact = sizes.map((size) => (total === 0 ? 0 : (size * rows) / total));
  const take = exact.map((share, index) => Math.min(sizes[index] ?? 0, Math.max(least, Math.floor(share))));
  const sum = (): number => take.reduce((all, one) => all + one, 0);
  /** Strata that are furthest below their share first. */
  const order = (): number[] =>
    [...sizes.keys()].sort(
      (a, b) => (exact[b] ?? 0) - (take[b] ?? 0) - ((exact[a] ?? 0) - (take[a] ?? 0)) || a - b,
    );
  while (sum() < rows) {
    const next = order().find((index) => (take[index] ?? 0) < (sizes[index] ?? 0));
    if (next === undefined) break;
    take[next] = (take[next] ?? 0) + 1;
  }
  while (sum() > rows) {
    const next = order().findLast((index) => (take[index] ?? 0) > least);
    if (next === undefined) break;
    take[next] = (take[next] ?? 0) - 1;
  }
  return take;
}

/** Quantile of ascending values, linear between neighbours: position `probability * (count - 1)`, NumPy's default. */
export function quantile(ascending: Float64Array, probability: number): number {
  const position = probability * (ascending.length - 1);
  const below = Math.floor(position);
  const low = ascending[below] ?? NaN;
  const high = ascending[Math.min(below + 1, ascending.length - 1)] ?? NaN;
  return low + (high - low) * (position - below);
}

/** The middle `level` of values, which are sorted in place. */
export function percentileInterval(values: Float64Array, level: number): { low: number; high: number } {
  values.sort();
  return { low: quantile(values, (1 - level) / 2), high: quantile(values, (1 + level) / 2) };
}

/** Throws RangeError unless 0 < level < 1 and there is at least one resample. */
export function checkResampling(level: number, resamples: number): void {
  if (!(level > 0 && level < 1)) throw new RangeError(`level must lie between 0 and 1, not ${level}`);
  if (!Number.isInteger(resamples) || resamples < 1)
    throw new RangeError(`resamples must be a positive integer, not ${resamples}`);
}

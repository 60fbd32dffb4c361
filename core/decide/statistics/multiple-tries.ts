import type { BootstrapOptions } from './bootstrap-interval.ts';
import { bootstrapInterval } from './bootstrap-interval.ts';
import type { ResampleWork } from './resample.ts';

/** So many resamples must lie below a bound before it is more than the noise of the smallest ones. */
const RESAMPLES_BELOW_BOUND = 10;
const MAX_RESAMPLES = 100_000;

/**
 * The level each of `tried` intervals needs so that all of them hold together with probability `level`: Bonferroni's
 * `1 - (1 - level) / tried`. Bonferroni and not Šidák, because candidates are scored on the same rows and Šidák's
 * slightly narrower bound supposes that they are independent.
 * Throws RangeError unless 0 < level < 1 and `tried` is a positive integer.
 */
export function correctedLevel(level: number, tried: number): number {
  if (!(level > 0 && level < 1)) throw new RangeError(`level must lie between 0 and 1, not ${level}`);
  if (!Number.isInteger(tried) || tried < 1)
    throw new RangeError(`tried must be a positive integer, not ${tried}`);
  return 1 - (1 - level) / tried;
}

/**
 * Lower bound of the score of a candidate that is the best of `tried`: that of `bootstrapInterval` at `correctedLevel`.
 * Takes more resamples than asked for where the corrected bound is so far out that too few would fall below it (at
 * most 100,000).
 */
export async function correctedLow(
  options: BootstrapOptions & { readonly tried: number },
  work?: ResampleWork,
): Promise<number> {
  const { tried, level = 0.95, resamples = 2000, ...rest } = options;
  const corrected = correctedLevel(level, tried);
  const wanted = Math.ceil((2 * RESAMPLES_BELOW_BOUND) / (1 - corrected));
  const enough = Math.max(resamples, Math.min(wanted, MAX_RESAMPLES));
  return (await bootstrapInterval({ ...rest, level: corrected, resamples: enough }, work)).low;
}

import { checkResampling, percentileInterval } from './quantile.ts';
import { resample, type ResampleWork } from './resample.ts';
import type { Aggregate } from './row-table.ts';
import { rowTable, scoreOf, sumOf } from './row-table.ts';

export interface PairedBootstrapOptions {
  /** Statistics of system a; row i of both systems must belong to the same example. */
  readonly a: readonly (readonly number[])[];
  readonly b: readonly (readonly number[])[];
  readonly aggregate: Aggregate;
  /** Default 2000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly level?: number;
  readonly seed: number;
}

export interface PairedDifference {
  /** Score of b minus score of a. */
  readonly delta: number;
  readonly low: number;
  readonly high: number;
  /** Two-sided: twice the smaller share of resampled differences at or beyond zero, the observed one counted in. */
  readonly pValue: number;
  /** Pairs. */
  readonly n: number;
}

/**
 * Difference of two systems on the same rows, with a percentile interval from resampling pairs.
 *
 * One pair says nothing about spread: interval -1 to 1, p-value 1.
 * Throws `DATA_TOO_FEW_ROWS` without rows, RangeError for malformed rows, unequal numbers of rows, or bad settings.
 */
export async function pairedBootstrap(
  options: PairedBootstrapOptions,
  work?: ResampleWork,
): Promise<PairedDifference> {
  const { aggregate, resamples = 2000, level = 0.95, seed } = options;
  checkResampling(level, resamples);
  const [a, b] = [rowTable(options.a), rowTable(options.b)];
  if (a.rows !== b.rows) throw new RangeError(`a pair needs both sides: ${a.rows} rows of a, ${b.rows} of b`);
  const measure = ([sumsA = [], sumsB = []]: readonly number[][]) =>
    scoreOf(sumsB, aggregate) - scoreOf(sumsA, aggregate);
  const delta = measure([sumOf(a), sumOf(b)]);
  if (a.rows === 1) return { delta, low: -1, high: 1, pValue: 1, n: 1 };
  const values = await resample({ tables: [a, b], seed, resamples, measure }, work);
  return { delta, ...percentileInterval(values, level), pValue: twoSided(values), n: a.rows };
}

function twoSided(values: Float64Array): number {
  let [atMostZero, atLeastZero] = [0, 0];
  for (const value of values) {
    if (value <= 0) atMostZero += 1;
    if (value >= 0) atLeastZero += 1;
  }
  return Math.min(1, (2 * (1 + Math.min(atMostZero, atLeastZero))) / (values.length + 1));
}

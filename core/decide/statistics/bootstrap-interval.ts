import { checkResampling, percentileInterval } from './quantile.ts';
import { resample, type ResampleWork } from './resample.ts';
import type { Aggregate } from './row-table.ts';
import { rowTable, scoreOf, sumOf } from './row-table.ts';

export interface BootstrapOptions {
  /** Sufficient statistics of each row, all of one length. */
  readonly rows: readonly (readonly number[])[];
  /** Score, 0 to 1, of a sum of rows. */
  readonly aggregate: Aggregate;
  /** Default 2000. */
  readonly resamples?: number;
  /** Share of the resamples inside the interval; default 0.95. */
  readonly level?: number;
  /** Equal seeds give equal intervals; only the lower 32 bits count. */
  readonly seed: number;
}

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Rows. */
  readonly n: number;
}

/**
 * Score of all rows with its percentile bootstrap interval (rows drawn with replacement).
 *
 * One row says nothing about spread: its interval is the whole scale, 0 to 1. Rows that are all equal give an interval of
 * no width: a percentile bootstrap knows no values but those it saw.
 * Throws `DATA_TOO_FEW_ROWS` without rows, RangeError for malformed rows or settings, `INVALID_SPEC` for more resamples than
 * anybody can wait for.
 */
export async function bootstrapInterval(options: BootstrapOptions, work?: ResampleWork): Promise<Interval> {
  const { aggregate, resamples = 2000, level = 0.95, seed } = options;
  checkResampling(level, resamples);
  const table = rowTable(options.rows);
  const value = scoreOf(sumOf(table), aggregate);
  if (table.rows === 1) return { value, low: 0, high: 1, n: 1 };
  const measure = ([sums = []]: readonly number[][]) => scoreOf(sums, aggregate);
  const values = await resample({ tables: [table], seed, resamples, measure }, work);
  return { value, ...percentileInterval(values, level), n: table.rows };
}

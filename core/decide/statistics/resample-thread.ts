/** A thread that draws resamples and sums their rows: all of a bootstrap whose time grows with the rows. */
import { parentPort, workerData } from 'node:worker_threads';
import { resampledSums } from './resampled-sums.ts';
import type { RowTable } from './row-table.ts';

export interface ResampleSettings {
  readonly tables: readonly RowTable[];
  readonly seed: number;
}

/** Resamples `first` to `first + count - 1`. */
export interface ResampleJob {
  readonly first: number;
  readonly count: number;
}

/** `sums` as `resampledSums` gives them. */
export interface ResampleResult {
  readonly first: number;
  readonly sums: readonly Float64Array<ArrayBuffer>[];
}

const { tables, seed } = workerData as ResampleSettings;

parentPort?.on('message', ({ first, count }: ResampleJob) => {
  const sums = resampledSums(tables, { seed, first, count });
  const result: ResampleResult = { first, sums };
  parentPort?.postMessage(
    result,
    sums.map(({ buffer }) => buffer),
  );
});

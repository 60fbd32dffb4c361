import { availableParallelism } from 'node:os';
import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import { moduleUrl } from '../../../plugins/sdk/package-paths.ts';
import { ThreadPool } from '../../../plugins/sdk/thread-pool.ts';
import type { ResampleJob, ResampleResult, ResampleSettings } from './resample-thread.ts';
import { resampledSums } from './resampled-sums.ts';
import type { RowTable } from './row-table.ts';

/** Drawing one row costs about as much as so many additions. */
const DRAW_ADDITIONS = 20;
/** Additions that are no burden to an event loop: about a tenth of a second. */
const MAX_INLINE_ADDITIONS = 20_000_000;
/** Additions of one job of a thread: a few tenths of a second, so that progress is seen. */
const JOB_ADDITIONS = 50_000_000;
/** Most resamples of one job: their aggregates are computed on the event loop, at once. */
const MAX_JOB_RESAMPLES = 1000;
/** Most rows drawn in all. Adaptation specs allow half of it (10,000 rows, 100,000 resamples). */
const MAX_DRAWS = 2_000_000_000;

/** How long work off the event loop is stopped and shown. */
export interface ResampleWork {
  /** Aborting it ends the threads; the reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Called now and then with how many resamples are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface Resampling {
  /** All with the same number of rows; every resample draws the same rows of each. */
  readonly tables: readonly RowTable[];
  readonly seed: number;
  readonly resamples: number;
  /** The number a resample gives, from the sums of its rows in each table. Arrays are reused between calls. */
  readonly measure: (sums: readonly number[][]) => number;
}

/**
 * The measure of every resample, in order. Sums of large tables are made in threads; results are the same bits either way.
 * Throws `INVALID_SPEC` when rows × resamples is more than anybody can wait for.
 */
export async function resample(what: Resampling, work: ResampleWork = {}): Promise<Float64Array> {
  const { tables, seed, resamples } = what;
  const rows = tables[0]?.rows ?? 0;
  refuseEndless(rows, resamples);
  const values = new Float64Array(resamples);
  const additions = rows * tables.reduce((sum, { width }) => sum + width, DRAW_ADDITIONS);
  if (additions * resamples <= MAX_INLINE_ADDITIONS) {
    fill(values, { first: 0, sums: resampledSums(tables, { seed, first: 0, count: resamples }) }, what);
    return values;
  }
  const count = Math.max(1, Math.min(MAX_JOB_RESAMPLES, Math.floor(JOB_ADDITIONS / additions)));
  let done = 0;
  await inThreads({ tables, seed }, jobs(resamples, count), work.signal, (result) => {
    done += fill(values, result, what);
    work.onProgress?.(done, resamples);
  });
  return values;
}

async function inThreads(
  settings: ResampleSettings,
  all: readonly ResampleJob[],
  signal = new AbortController().signal,
  take: (result: ResampleResult) => void,
): Promise<void> {
  signal.throwIfAborted();
  const threads = Math.min(4, availableParallelism(), all.length);
  const module = moduleUrl('./resample-thread.ts', import.meta.url);
  const pool = new ThreadPool<ResampleJob, ResampleResult>(module, settings, threads, signal);
  try {
    await pool.drain(all, async (result) => take(result));
  } finally {
    await pool.close();
  }
}

function jobs(resamples: number, count: number): ResampleJob[] {
  return Array.from({ length: Math.ceil(resamples / count) }, (_, at) => ({
    first: at * count,
    count: Math.min(count, resamples - at * count),
  }));
}

/** Measures the resamples of one piece and says how many they were. */
function fill(
  values: Float64Array,
  { first, sums }: ResampleResult,
  { tables, measure }: Resampling,
): number {
  const scratch = tables.map(({ width }) => new Array<number>(width).fill(0));
  const count = (sums[0]?.length ?? 0) / (tables[0]?.width ?? 1);
  for (let at = 0; at < count; at++) {
    for (const [table, own] of scratch.entries()) {
      for (let column = 0; column < own.length; column++)
        own[column] = sums[table]?.[at * own.length + column] ?? 0;
    }
    values[first + at] = measure(scratch);
  }
  return count;
}

function refuseEndless(rows: number, resamples: number): void {
  if (rows * resamples <= MAX_DRAWS) return;
  const most = Math.max(1, Math.floor(MAX_DRAWS / rows));
  throw new EscadaFailure({
    code: 'INVALID_SPEC',
    message: `statistics.resamples: ${resamples} resamples of ${rows} rows are too many to compute; use at most ${most}.`,
    fields: { rows, resamples, most },
  });
}

/** A thread that scores rows: in it, a row that never ends holds up nobody, and can be ended. */
import { parentPort, workerData } from 'node:worker_threads';
import type { MetricRow } from '../../sdk/contracts/metric.ts';
import { METRIC_FACTORIES } from './factories.ts';
import type { PartedMetric } from './parted-metric.ts';

export interface MetricThreadSettings {
  readonly id: string;
  /** As the metric's schema has checked them. */
  readonly options: unknown;
  /** What the thread works on: number of the row (from 1; 0 = none yet), and of the metric's part. */
  readonly place: Int32Array<SharedArrayBuffer>;
}

/** Rows `first`, `first + 1`, … of those to score. */
export interface MetricJob {
  readonly first: number;
  readonly rows: readonly MetricRow[];
}

/** Statistics of the rows; or which row could not be scored, and why. */
export type MetricAnswer =
  | { readonly first: number; readonly statistics: readonly (readonly number[])[] }
  | { readonly row: number; readonly part: number; readonly problem: string };

const { id, options, place } = workerData as MetricThreadSettings;
const metric = METRIC_FACTORIES.find((factory) => factory.id === id)?.create(options) as PartedMetric;

function answer({ first, rows }: MetricJob): MetricAnswer {
  const statistics: (readonly number[])[] = [];
  for (const [at, row] of rows.entries()) {
    Atomics.store(place, 1, 0);
    Atomics.store(place, 0, first + at + 1);
    try {
      statistics.push(metric.doRow(row, (part) => Atomics.store(place, 1, part)));
    } catch (error) {
      return { row: first + at, part: Atomics.load(place, 1), problem: String(error) };
    }
  }
  return { first, statistics };
}

parentPort?.on('message', (job: MetricJob) => parentPort?.postMessage(answer(job)));

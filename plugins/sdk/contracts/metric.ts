import type { ValueSchema } from './value-schema.ts';

export interface MetricRow {
  readonly input: string;
  readonly prediction: string;
  readonly reference: string;
}

/** A row among others. */
export interface NamedMetricRow extends MetricRow {
  /** What messages call it. */
  readonly id: string;
}

/** How scoring many rows is stopped and shown. */
export interface MetricWork {
  readonly signal: AbortSignal;
  /** Called now and then with how many rows are done. */
  onProgress(done: number): void;
}

/**
 * A metric as sufficient statistics: each row gives a vector, vectors add up, and the aggregate of a sum is the score
 * of those rows (0 to 1, higher is better). Resampling rows for an interval then costs additions only.
 */
export interface MetricV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  /** Statistics of one row; all rows give the same number of them. */
  doRow(row: MetricRow): readonly number[];
  /**
   * Statistics of many rows, in their order, beside the event loop: for metrics whose rows may take long. Without it
   * `doRow` is called row by row, and no row may take more than a few hundredths of a second.
   * Throws `METRIC_FAILED` for a row that cannot be scored, or takes too long.
   */
  doRows?(rows: readonly NamedMetricRow[], work: MetricWork): Promise<readonly (readonly number[])[]>;
  doAggregate(sums: readonly number[]): number;
}

/** Makes a metric from checked options (`optionsSchema` has parsed them). */
export interface MetricFactoryV1 {
  readonly id: string;
  readonly optionsSchema: ValueSchema;
  create(options: unknown): MetricV1;
}

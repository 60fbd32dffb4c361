import type { z } from 'zod';

export interface MetricRow {
  readonly input: string;
  readonly prediction: string;
  readonly reference: string;
}

/**
 * A metric as sufficient statistics: each row gives a vector, vectors add up, and the aggregate of a sum is the score
 * of those rows (0 to 1, higher is better). Resampling rows for an interval then costs additions only.
 */
export interface MetricV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  /** What the numbers mean, in one line for reports. */
  readonly title: string;
  doRow(row: MetricRow): readonly number[];
  doAggregate(sums: readonly number[]): number;
}

/** Makes a metric from checked options (`optionsSchema` has parsed them). */
export interface MetricFactoryV1 {
  readonly id: string;
  readonly optionsSchema: z.ZodType;
  create(options: unknown): MetricV1;
}

import type { MetricRow, MetricV1 } from '../../sdk/contracts/metric.ts';

/** A metric that says which part of it is at work, for messages about a row that takes too long. */
export interface PartedMetric extends MetricV1 {
  /** What messages call each part. */
  readonly parts: readonly string[];
  doRow(row: MetricRow, enter?: (part: number) => void): readonly number[];
}

/** The parts of a metric; none for a metric whose time grows with the length of a row only. */
export function partsOf(metric: MetricV1): readonly string[] {
  return 'parts' in metric ? (metric as PartedMetric).parts : [];
}

import type { MetricRow, MetricV1 } from '../../sdk/contracts/metric.ts';

/** A metric that is the mean of a number per row. Statistics: `[rows, sum]`. */
export function rowMean(metric: {
  readonly id: string;
  /** Score of one row, 0 to 1. */
  readonly score: (row: MetricRow) => number;
}): MetricV1 {
  return {
    specificationVersion: 'v1',
    id: metric.id,
    doRow: (row) => [1, metric.score(row)],
    doAggregate: ([rows = 0, sum = 0]) => (rows === 0 ? 0 : sum / rows),
  };
}

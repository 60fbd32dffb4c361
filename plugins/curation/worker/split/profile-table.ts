/** Lengths and classes of a table of rows, by arquero. */
import { desc, op, table } from 'arquero';
import type { Lengths, SplitProfile } from '../../../../schemas/outcome/data-profile.ts';

/** Lengths in characters and, where outputs are labels, the label of every row. */
export interface ProfileColumns {
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly label?: readonly string[];
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Mean, extremes and quantiles of one column; all 0 for no rows. */
export function lengthsOf(values: readonly number[]): Lengths {
  if (values.length === 0) return { mean: 0, min: 0, p10: 0, p50: 0, p90: 0, max: 0 };
  const summary = table({ length: [...values] })
    .rollup({
      mean: op.mean('length'),
      min: op.min('length'),
      p10: op.quantile('length', 0.1),
      p50: op.median('length'),
      p90: op.quantile('length', 0.9),
      max: op.max('length'),
    })
    .object() as Lengths;
  const { mean, min, p10, p50, p90, max } = summary;
  return { mean: round(mean), min, p10: round(p10), p50: round(p50), p90: round(p90), max };
}

/** Rows and share of every label, the most frequent first, equal ones by name; labels of other splits have 0 rows. */
export function classesOf(
  labels: readonly string[],
  known: readonly string[],
): NonNullable<SplitProfile['classes']> {
  const counted = table({ label: [...labels] })
    .groupby('label')
    .count()
    .orderby(desc('count'), 'label')
    .objects() as { label: string; count: number }[];
  const present = counted.map(({ label, count }) => ({ label, rows: count, share: count / labels.length }));
  const absent = known.filter((label) => !counted.some((one) => one.label === label));
  return [...present, ...absent.map((label) => ({ label, rows: 0, share: 0 }))];
}

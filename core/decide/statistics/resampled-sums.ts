import { drawIndexes } from './counter-random.ts';
import type { RowTable } from './row-table.ts';

/**
 * Sums of the rows that `count` resamples draw, beginning with resample `first`; for each table one array, whose resample
 * `i` begins at `i * width`. All tables have the same number of rows and are drawn alike. A sum depends on `seed` and
 * the resample's number only, so that it is the same in whatever pieces and threads it is computed.
 */
export function resampledSums(
  tables: readonly RowTable[],
  { seed, first, count }: { readonly seed: number; readonly first: number; readonly count: number },
): Float64Array<ArrayBuffer>[] {
  const indexes = new Int32Array(tables[0]?.rows ?? 0);
  const all = tables.map(({ width }) => new Float64Array(count * width));
  for (let resample = 0; resample < count; resample++) {
    drawIndexes(indexes, indexes.length, seed, first + resample);
    for (const [at, table] of tables.entries()) {
      const { width } = table;
      addRows(table, indexes, (all[at] as Float64Array).subarray(resample * width, (resample + 1) * width));
    }
  }
  return all;
}

/** Adds the rows at `indexes` (with repeats), in their order: the order decides the last bits of a sum. */
function addRows({ values, width }: RowTable, indexes: Int32Array, sums: Float64Array): void {
  for (let draw = 0; draw < indexes.length; draw++) {
    const from = (indexes[draw] ?? 0) * width;
    for (let at = 0; at < width; at++) sums[at] = (sums[at] ?? 0) + (values[from + at] ?? 0);
  }
}

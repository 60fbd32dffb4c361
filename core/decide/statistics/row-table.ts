import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';

/** Sufficient statistics of rows, one flat array: row i is `values[i * width …]`. */
export interface RowTable {
  readonly values: Float64Array;
  readonly rows: number;
  readonly width: number;
}

/** Score of a sum of rows. The array it gets is reused between calls. */
export type Aggregate = (sums: readonly number[]) => number;

/** Checks and flattens. Throws `DATA_TOO_FEW_ROWS` without rows, RangeError for ragged rows or numbers that are not finite. */
export function rowTable(rows: readonly (readonly number[])[]): RowTable {
  const width = rows[0]?.length ?? 0;
  if (width === 0) {
    throw new EscadaFailure({
      code: 'DATA_TOO_FEW_ROWS',
      message: 'There are no scored rows, so there is no score and no interval.',
    });
  }
  // Shared, so that threads read it without a copy each.
  const values = new Float64Array(new SharedArrayBuffer(8 * rows.length * width));
  rows.forEach((row, index) => {
    if (row.length !== width)
      throw new RangeError(`row ${index} has ${row.length} statistics, row 0 has ${width}`);
    if (!row.every(Number.isFinite)) throw new RangeError(`row ${index} holds a number that is not finite`);
    values.set(row, index * width);
  });
  return { values, rows: rows.length, width };
}

/** Score of a sum. Throws RangeError when it is not a finite number. */
export function scoreOf(sums: readonly number[], aggregate: Aggregate): number {
  const score = aggregate(sums);
  if (!Number.isFinite(score)) throw new RangeError('the aggregate of a resample is not a finite number');
  return score;
}

/** Sum of all rows. */
export function sumOf({ values, rows, width }: RowTable): number[] {
  const sums = new Array<number>(width).fill(0);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < width; at++) sums[at] = (sums[at] ?? 0) + (values[row * width + at] ?? 0);
  }
  return sums;
}

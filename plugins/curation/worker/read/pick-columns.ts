import { nearest } from '../../../../schemas/common/nearest.ts';
import { EscadaFailure } from '../../../api/failure.ts';
import type { DataFile } from './unreadable.ts';

/** Which column of the source is what. */
export interface ColumnMap {
  readonly input: string;
  readonly output: string;
  readonly group?: string;
}

const MOST_SHOWN = 50;

/** Throws `DATA_COLUMN_MISSING`, with the columns there are, when a mapped column is not among `known`. */
export function checkColumns(file: DataFile, map: ColumnMap, known: readonly string[]): void {
  for (const role of ['input', 'output', 'group'] as const) {
    const wanted = map[role];
    if (wanted !== undefined && !known.includes(wanted)) throw missing(file, role, wanted, known);
  }
}

function missing(file: DataFile, role: string, wanted: string, known: readonly string[]): EscadaFailure {
  const guess = nearest(wanted.trim(), known);
  const hint = guess === null ? '' : ` Did you mean "${guess}"?`;
  const list = known.slice(0, MOST_SHOWN).join(', ') + (known.length > MOST_SHOWN ? ', …' : '');
  return new EscadaFailure({
    code: 'DATA_COLUMN_MISSING',
    message: `${file.name} has no column "${wanted}" (mapped as ${role}).${hint} Its columns: ${list}.`,
    fields: { file: file.name, role, wanted, columns: known.slice(0, MOST_SHOWN) },
  });
}

import { nearest } from '../../../../schemas/common/nearest.ts';
import { EscadaFailure } from '../../../sdk/contracts/failure.ts';
import type { DataFile } from './unreadable.ts';

/** Which column of the source is what. */
export interface ColumnMap {
  readonly input: string;
  readonly output: string;
  readonly group?: string;
  readonly category?: string;
}

/** One mapped column: its role in the spec, its name in datasets, its name in the source. */
export interface MappedColumn {
  readonly role: 'input' | 'output' | 'group' | 'category';
  readonly column: 'input' | 'output' | 'grp' | 'category';
  readonly name: string;
}

/** The mapped columns, in the order in which datasets have them. */
export function mappedColumns(map: ColumnMap): MappedColumn[] {
  const all = [
    { role: 'input', column: 'input', name: map.input },
    { role: 'output', column: 'output', name: map.output },
    { role: 'group', column: 'grp', name: map.group },
    { role: 'category', column: 'category', name: map.category },
  ] as const;
  return all.filter((one): one is typeof one & MappedColumn => one.name !== undefined);
}

const MAX_SHOWN = 50;
/** A damaged file can have a whole book for a column name. */
const MAX_CHARS = 80;

/** Throws `DATA_COLUMN_MISSING`, with the columns there are, when a mapped column is not among `known`. */
export function checkColumns(file: DataFile, map: ColumnMap, known: readonly string[]): void {
  for (const { role, name } of mappedColumns(map)) {
    if (!known.includes(name)) throw missing(file, role, name, known);
  }
}

function missing(file: DataFile, role: string, wanted: string, known: readonly string[]): EscadaFailure {
  const guess = nearest(wanted.trim(), known);
  const hint = guess === null ? '' : ` Did you mean "${guess}"?`;
  const columns = known.slice(0, MAX_SHOWN).map(shortened);
  const list = columns.join(', ') + (known.length > MAX_SHOWN ? ', …' : '');
  return new EscadaFailure({
    code: 'DATA_COLUMN_MISSING',
    message: `${file.name} has no column "${wanted}" (mapped as ${role}).${hint} Its columns: ${list}.`,
    fields: { file: file.name, role, wanted, columns },
  });
}

function shortened(name: string): string {
  return name.length > MAX_CHARS ? `${name.slice(0, MAX_CHARS)}…` : name;
}

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
  const guess = nearest(wanted, known);
  const hint = guess === null ? '' : ` Did you mean "${guess}"?`;
  const list = known.slice(0, MOST_SHOWN).join(', ') + (known.length > MOST_SHOWN ? ', …' : '');
  return new EscadaFailure({
    code: 'DATA_COLUMN_MISSING',
    message: `${file.name} has no column "${wanted}" (mapped as ${role}).${hint} Its columns: ${list}.`,
    fields: { file: file.name, role, wanted, columns: known.slice(0, MOST_SHOWN) },
  });
}

/** The known name that was most likely meant; null when more than a third of it would have to change. */
function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestEdits = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const edits = editDistance(name.trim().toLowerCase(), candidate.trim().toLowerCase());
    if (edits < bestEdits) [best, bestEdits] = [candidate, edits];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

import type { Duck } from '../duck.ts';
import { literal } from '../sql.ts';
import { MAX_RECORD_BYTES, scanCsv, splitRecord } from './csv-scan.ts';
import type { CsvDialect, CsvRecord } from './csv-scan.ts';
import { checkColumns } from './pick-columns.ts';
import type { ColumnMap } from './pick-columns.ts';
import { stage } from './stage.ts';
import { unreadable } from './unreadable.ts';
import type { DataFile } from './unreadable.ts';

const DELIMITERS = [',', ';', '\t', '|'];

/**
 * Loads delimited text into the view `raw(row, input, output, grp)`; returns the column names.
 * TSV knows no quotes (as registered with IANA); CSV follows RFC 4180, with the delimiter that the header uses.
 */
export async function loadDelimited(
  duck: Duck,
  file: DataFile,
  map: ColumnMap,
  format: 'csv' | 'tsv',
): Promise<string[]> {
  const { dialect, names } = await readHeader(file, format);
  checkColumns(file, map, names);
  for (const name of [map.input, map.output, map.group]) {
    if (name !== undefined && names.indexOf(name) !== names.lastIndexOf(name)) {
      throw unreadable(file, 1, `the column "${name}" is there more than once`);
    }
  }
  const column = (name: string): string => `c${names.indexOf(name)}`;
  const group = map.group === undefined ? '' : `, ${column(map.group)} AS grp`;
  try {
    const select = `${column(map.input)} AS input, ${column(map.output)} AS output${group}`;
    await stage(duck, file, `SELECT ${select} FROM ${csvTable(file, dialect, names.length)}`);
  } catch (error) {
    throw await explain(file, dialect, names.length, error);
  }
  return names;
}

/** Nothing is left to guessing: a wrong guess would read a damaged file as something else. */
function csvTable(file: DataFile, dialect: CsvDialect, columns: number): string {
  const types = Array.from({ length: columns }, (_, index) => `'c${index}': 'VARCHAR'`).join(', ');
  const quote = literal(dialect.quote);
  return `read_csv(${literal(file.path)}, auto_detect=false, header=true, delim=${literal(dialect.delimiter)},
    quote=${quote}, escape=${quote}, columns={${types}}, strict_mode=true, null_padding=false,
    max_line_size=${MAX_RECORD_BYTES}, buffer_size=${2 * MAX_RECORD_BYTES}, hive_partitioning=false)`;
}

async function readHeader(
  file: DataFile,
  format: 'csv' | 'tsv',
): Promise<{ dialect: CsvDialect; names: string[] }> {
  const choices: CsvDialect[] =
    format === 'tsv'
      ? [{ delimiter: '\t', quote: '' }]
      : DELIMITERS.map((delimiter) => ({ delimiter, quote: '"' as const }));
  let best: { dialect: CsvDialect; names: string[] } | null = null;
  for (const dialect of choices) {
    const names = splitHeader(file, await firstRecord(file, dialect), dialect);
    if (best === null || names.length > best.names.length) best = { dialect, names };
  }
  if (best === null) throw unreadable(file, 0, 'it has no header');
  return best;
}

async function firstRecord(file: DataFile, dialect: CsvDialect): Promise<CsvRecord> {
  for await (const record of scanCsv(file.path, dialect)) return record;
  throw unreadable(file, 0, 'it is empty; a header line with the column names is needed');
}

function splitHeader(file: DataFile, record: CsvRecord, dialect: CsvDialect): string[] {
  // Text after a closing quote may only mean that this delimiter is the wrong one: it is judged by what it splits.
  if (record.fault !== undefined && !record.fault.why.startsWith('there is text')) {
    throw unreadable(file, record.fault.line, record.fault.why);
  }
  return record.fault === undefined ? splitRecord(record, dialect).map((name) => name.trim()) : [];
}

/** Why the engine refused the file: looks for the first fault, and falls back on the engine's own words. */
async function explain(file: DataFile, dialect: CsvDialect, columns: number, cause: unknown): Promise<Error> {
  let newline: string | null = null;
  for await (const record of scanCsv(file.path, dialect)) {
    newline ??= record.newline;
    const fault = record.fault ?? unlike(record, columns, newline, dialect);
    if (fault !== undefined) return unreadable(file, fault.line, fault.why, cause);
  }
  return engineError(file, cause);
}

const NAMES: Record<string, string> = { '\n': 'LF', '\r\n': 'CR LF', '\r': 'CR' };

function unlike(
  record: CsvRecord,
  columns: number,
  newline: string,
  dialect: CsvDialect,
): CsvRecord['fault'] {
  const { line } = record;
  if (record.fields !== columns) {
    const delimiter = dialect.delimiter === '\t' ? 'a tab' : `"${dialect.delimiter}"`;
    const why = `it has ${record.fields} fields where the header has ${columns} (fields are separated by ${delimiter})`;
    return { line, why };
  }
  if (record.newline === '' || record.newline === newline) return undefined;
  return {
    line,
    why: `it ends in ${NAMES[record.newline]}, but the lines before it end in ${NAMES[newline]}`,
  };
}

function engineError(file: DataFile, cause: unknown): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  // Anything that is not about the data (memory, disk) is passed on as it is.
  if (!/^Invalid Input Error/.test(text)) return cause instanceof Error ? cause : new Error(text);
  const line = Number(/on Line: (\d+)/.exec(text)?.[1] ?? 0);
  const why = text.split('\n').find((part) => part.endsWith('found.')) ?? text.split('\n')[0] ?? '';
  return unreadable(file, line, `the table engine says: ${why.slice(0, 300).replace(/\.$/, '')}`, cause);
}

import { open } from 'node:fs/promises';
import type { StepDatabase } from '../step-database.ts';
import { literal } from '../sql.ts';
import { MAX_RECORD_BYTES, scanCsv, splitRecord } from './csv-scan.ts';
import type { CsvDialect, CsvRecord } from './csv-scan.ts';
import { checkColumns, mappedColumns } from './pick-columns.ts';
import type { ColumnMap } from './pick-columns.ts';
import { stage } from './stage.ts';
import { engineText, otherTrouble, unreadable } from './unreadable.ts';
import type { DataFile } from './unreadable.ts';

const DELIMITERS = [',', ';', '\t', '|'];

/**
 * Loads delimited text into the view `raw(row, input, output, …)`; returns the column names.
 * TSV knows no quotes (as registered with IANA); CSV follows RFC 4180, with the delimiter that the header uses.
 */
export async function loadDelimited(
  database: StepDatabase,
  file: DataFile,
  map: ColumnMap,
  format: 'csv' | 'tsv',
): Promise<string[]> {
  const header = await readHeader(file, format);
  const names = [...header.names];
  checkColumns(file, map, names);
  for (const { name } of mappedColumns(map)) {
    if (names.indexOf(name) !== names.lastIndexOf(name)) {
      throw unreadable(file, header.line, `the column "${name}" is there more than once`);
    }
  }
  const select = mappedColumns(map).map(({ name, column }) => `c${names.indexOf(name)} AS ${column}`);
  // A last record without an end that is longer than the engine's buffer would silently be left out.
  const fault = (await endsOpen(file.path)) ? await firstFault(file, header) : undefined;
  if (fault !== undefined) throw unreadable(file, fault.line, fault.why);
  try {
    await stage(database, file, `SELECT ${select.join(', ')} FROM ${csvTable(file, header)}`);
  } catch (error) {
    throw await explain(file, header, error);
  }
  return names;
}

/** Nothing is left to guessing: a wrong guess would read a damaged file as something else. */
function csvTable(file: DataFile, { dialect, names, line }: Header): string {
  const types = names.map((_, index) => `'c${index}': 'VARCHAR'`).join(', ');
  const quote = literal(dialect.quote);
  return `read_csv(${literal(file.path)}, auto_detect=false, header=true, skip=${line - 1}, delim=${literal(dialect.delimiter)},
    quote=${quote}, escape=${quote}, columns={${types}}, strict_mode=true, null_padding=false,
    max_line_size=${MAX_RECORD_BYTES}, buffer_size=${2 * MAX_RECORD_BYTES}, hive_partitioning=false)`;
}

interface Header {
  readonly dialect: CsvDialect;
  readonly names: readonly string[];
  /** Line, from 1, on which it starts: blank lines may precede it. */
  readonly line: number;
}

/** The header by the delimiter that gives most columns. */
async function readHeader(file: DataFile, format: 'csv' | 'tsv'): Promise<Header> {
  const choices: CsvDialect[] =
    format === 'tsv'
      ? [{ delimiter: '\t', quote: '' }]
      : DELIMITERS.map((delimiter) => ({ delimiter, quote: '"' as const }));
  let best: Header | null = null;
  let fault: CsvRecord['fault'];
  for (const dialect of choices) {
    const record = await firstRecord(file, dialect);
    // Under a wrong delimiter a good header may look faulty: it only counts when every one finds a fault.
    fault ??= record.fault;
    if (record.fault !== undefined) continue;
    const names = splitRecord(record, dialect).map((name) => name.trim());
    if (best === null || names.length > best.names.length) best = { dialect, names, line: record.line };
  }
  if (best === null) throw unreadable(file, fault?.line ?? 0, fault?.why ?? 'it has no header');
  return best;
}

async function firstRecord(file: DataFile, dialect: CsvDialect): Promise<CsvRecord> {
  for await (const record of scanCsv(file.path, dialect)) if (record.fields > 0) return record;
  throw unreadable(file, 0, 'it is empty; a header line with the column names is needed');
}

/** Whether a file that is larger than a record may be does not end with its last line. */
async function endsOpen(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size <= MAX_RECORD_BYTES) return false;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return !['\n', '\r'].includes(buffer.toString('latin1'));
  } finally {
    await file.close();
  }
}

/** Why the engine refused the file: looks for the first fault, and falls back on the engine's own words. */
async function explain(file: DataFile, header: Header, cause: unknown): Promise<Error> {
  const fault = await firstFault(file, header);
  return fault === undefined ? engineError(file, cause) : unreadable(file, fault.line, fault.why, cause);
}

async function firstFault(file: DataFile, { dialect, names }: Header): Promise<CsvRecord['fault']> {
  let newline: string | null = null;
  for await (const record of scanCsv(file.path, dialect)) {
    newline ??= record.newline;
    const fault = record.fault ?? unlike(record, names.length, newline, dialect);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const NAMES: Record<string, string> = { '\n': 'LF', '\r\n': 'CR LF', '\r': 'CR' };

function unlike(
  record: CsvRecord,
  columns: number,
  newline: string,
  dialect: CsvDialect,
): CsvRecord['fault'] {
  const { line } = record;
  if (record.fields !== columns && record.fields > 0) {
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
  const trouble = otherTrouble(cause);
  if (trouble !== undefined) return trouble;
  const text = engineText(cause);
  const line = Number(/on Line: (\d+)/.exec(text)?.[1] ?? 0);
  const why = text.split('\n').find((part) => part.endsWith('found.')) ?? text.split('\n')[0] ?? '';
  return unreadable(file, line, `the table engine says: ${why.slice(0, 300).replace(/\.$/, '')}`, cause);
}

import { openAsBlob } from 'node:fs';
import { tableFromIPC } from '@uwdata/flechette';
import { ParquetFile } from 'parquet-wasm';
import type { RecordBatch } from 'parquet-wasm';
import { EscadaFailure } from '../../plugins/api/failure.ts';

/** A row of a dataset as training, prompting and scoring use it. */
export interface DataRow {
  readonly id: string;
  readonly input: string;
  readonly output: string;
}

/** Most rows that `readRows` holds at once; larger files are for `streamRows`. */
export const MAX_ROWS_IN_MEMORY = 1_000_000;

const COLUMNS = ['id', 'input', 'output'];
/** Rows decoded at a time: bounds the memory of the reader whatever the file's row group size is. */
const BATCH_ROWS = 1024;

/**
 * Reads rows of a Parquet file with text columns `id`, `input` and `output`, row group by row group, in file order.
 * Throws `FILE_NOT_FOUND`, or `DATA_UNREADABLE` when the file is damaged, lacks a column or holds a null there.
 */
export async function* streamRows(path: string): AsyncGenerator<DataRow> {
  const file = await open(path);
  try {
    checkColumns(file, path);
    // The reader's own `limit` is not honoured by its stream: one row group at a time lets the caller stop early.
    for (let group = 0; group < file.metadata().numRowGroups(); group += 1)
      yield* readGroup(file, group, path);
  } finally {
    file.free();
  }
}

/** The first `limit` rows (all of them without one). Throws as `streamRows`; refuses over `MAX_ROWS_IN_MEMORY` rows. */
export async function readRows(path: string, options: { readonly limit?: number } = {}): Promise<DataRow[]> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const rows: DataRow[] = [];
  if (limit <= 0) return rows;
  for await (const row of streamRows(path)) {
    if (rows.length >= MAX_ROWS_IN_MEMORY) {
      throw unreadable(path, `it has more than ${MAX_ROWS_IN_MEMORY} rows; read it with a limit`);
    }
    rows.push(row);
    if (rows.length >= limit) break;
  }
  return rows;
}

async function open(path: string): Promise<ParquetFile> {
  const blob = await blobOf(path);
  return ParquetFile.fromFile(blob).catch((cause: unknown) => {
    throw unreadable(path, 'it is not a Parquet file, or it is damaged', cause);
  });
}

async function blobOf(path: string): Promise<Blob> {
  try {
    return await openAsBlob(path);
  } catch (cause) {
    const message = `Cannot read ${path}.`;
    throw new EscadaFailure({ code: 'FILE_NOT_FOUND', message, fields: { path }, cause });
  }
}

/** Columns that are not there are silently left out by the reader, so they are looked for first. */
function checkColumns(file: ParquetFile, path: string): void {
  const names = tableFromIPC(file.schema().intoIPCStream()).names.map(String);
  const missing = COLUMNS.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw unreadable(path, `it has no column ${missing.join(', ')}; its columns are ${names.join(', ')}`);
}

async function* readGroup(file: ParquetFile, group: number, path: string): AsyncGenerator<DataRow> {
  const options = { columns: COLUMNS, rowGroups: [group], batchSize: BATCH_ROWS, concurrency: 1 };
  const stream = await file.stream(options).catch((cause: unknown) => {
    throw unreadable(path, 'a row group is damaged', cause);
  });
  const reader = (stream as ReadableStream<RecordBatch>).getReader();
  for (;;) {
    const next = await reader.read().catch((cause: unknown) => {
      throw unreadable(path, 'a row group is damaged', cause);
    });
    if (next.done) return;
    for (const row of tableFromIPC(next.value.intoIPCStream()).toArray()) yield checkRow(row, path);
  }
}

function checkRow(row: Record<string, unknown>, path: string): DataRow {
  const { id, input, output } = row;
  if (typeof id !== 'string' || typeof input !== 'string' || typeof output !== 'string') {
    throw unreadable(path, `the row with id ${JSON.stringify(id)} holds a value that is not text`);
  }
  return { id, input, output };
}

function unreadable(path: string, why: string, cause?: unknown): EscadaFailure {
  const message = `Cannot use ${path}: ${why}.`;
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { path }, cause });
}

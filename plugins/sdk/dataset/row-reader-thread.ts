/**
 * The thread behind `streamRows`. Decoding Parquet blocks, and on damaged pages the WebAssembly module traps in a
 * place no promise can catch: in a thread of its own neither reaches the worker's event loop.
 */
import { openAsBlob } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { tableFromIPC } from '@uwdata/flechette';
import { ParquetFile } from 'parquet-wasm';
import type { RecordBatch } from 'parquet-wasm';
import type { DataRow } from './read-rows.ts';

/** Answer to one request for rows. */
export type ReaderAnswer =
  { readonly rows: readonly DataRow[] } | { readonly end: true } | { readonly problem: string };

const COLUMNS = ['id', 'input', 'output'];
/** Rows decoded at a time: bounds the memory of the reader whatever the file's row group size is. */
const BATCH_ROWS = 1024;

class Problem extends Error {}

/** Columns that are not there are silently left out by the reader, so they are looked for first. */
function checkColumns(file: ParquetFile): void {
  const names = tableFromIPC(file.schema().intoIPCStream()).names.map(String);
  const missing = COLUMNS.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw new Problem(`it has no column ${missing.join(', ')}; its columns are ${names.join(', ')}`);
}

function checkRow(row: Record<string, unknown>): DataRow {
  const { id, input, output } = row;
  if (typeof id === 'string' && typeof input === 'string' && typeof output === 'string') {
    return { id, input, output };
  }
  throw new Problem(`the row with id ${JSON.stringify(id)} holds a value that is not text`);
}

async function* batches(path: string): AsyncGenerator<DataRow[]> {
  const file = await ParquetFile.fromFile(await openAsBlob(path));
  checkColumns(file);
  // The reader's own `limit` is not honoured by its stream: one row group at a time lets the caller stop early.
  for (let group = 0; group < file.metadata().numRowGroups(); group += 1) {
    const options = { columns: COLUMNS, rowGroups: [group], batchSize: BATCH_ROWS, concurrency: 1 };
    const reader = ((await file.stream(options)) as ReadableStream<RecordBatch>).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield tableFromIPC(next.value.intoIPCStream()).toArray().map(checkRow);
    }
  }
}

async function answer(source: AsyncGenerator<DataRow[]>): Promise<ReaderAnswer> {
  try {
    const next = await source.next();
    return next.done === true ? { end: true } : { rows: next.value };
  } catch (error) {
    if (error instanceof Problem) return { problem: error.message };
    return { problem: `it is damaged or not a Parquet file (${String(error)})` };
  }
}

const source = batches((workerData as { path: string }).path);
parentPort?.on('message', () => void answer(source).then((reply) => parentPort?.postMessage(reply)));

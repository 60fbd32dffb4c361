import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { EscadaFailure } from '../contracts/failure.ts';
import { noteMovement } from '../movement.ts';
import { moduleUrl } from '../package-paths.ts';
import type { ReaderAnswer } from './row-reader-thread.ts';

/** A row of a dataset as training, prompting and scoring use it. */
export interface DataRow {
  readonly id: string;
  readonly input: string;
  readonly output: string;
}

/** Most rows that `readRows` holds at once; larger files are for `streamRows`. */
export const MAX_ROWS_IN_MEMORY = 1_000_000;

/** Most characters of them: about two gigabytes as strings. */
export const MAX_CHARS_IN_MEMORY = 1_000_000_000;

/**
 * Reads rows of a Parquet file with text columns `id`, `input` and `output`, row group by row group, in file order.
 * Throws `FILE_NOT_FOUND`, or `DATA_UNREADABLE` when the file is damaged, lacks a column or holds a null there.
 */
export async function* streamRows(path: string): AsyncGenerator<DataRow> {
  await checkReadable(path);
  const thread = new Worker(moduleUrl('./row-reader-thread.ts', import.meta.url), { workerData: { path } });
  const death = deathOf(thread);
  try {
    for (;;) {
      const reply = await ask(thread, death, path);
      noteMovement();
      if ('end' in reply) return;
      if ('problem' in reply) throw unreadable(path, reply.problem);
      yield* reply.rows;
    }
  } finally {
    await thread.terminate();
  }
}

/** The first `limit` rows (all of them without one). Throws as `streamRows`; refuses what is too much for the memory. */
export async function readRows(path: string, options: { readonly limit?: number } = {}): Promise<DataRow[]> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const rows: DataRow[] = [];
  if (limit <= 0) return rows;
  let chars = 0;
  for await (const row of streamRows(path)) {
    chars += row.input.length + row.output.length;
    if (chars > MAX_CHARS_IN_MEMORY) {
      throw unreadable(path, `its texts have more than ${MAX_CHARS_IN_MEMORY} characters; take fewer rows`);
    }
    if (rows.length >= MAX_ROWS_IN_MEMORY) {
      throw unreadable(path, `it has more than ${MAX_ROWS_IN_MEMORY} rows; read it with a limit`);
    }
    rows.push(row);
    if (rows.length >= limit) break;
  }
  return rows;
}

async function checkReadable(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    const message = `Cannot read ${path}.`;
    throw new EscadaFailure({ code: 'FILE_NOT_FOUND', message, fields: { path }, cause });
  });
}

/** Rejects when the thread ends. Listens from the start: it may also die between two requests. */
function deathOf(thread: Worker): Promise<never> {
  const death = new Promise<never>((_, reject) => {
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the reader thread ended')));
  });
  death.catch(() => undefined);
  return death;
}

/** One batch from the thread. A thread that dies has met pages it could not decode. */
async function ask(thread: Worker, death: Promise<never>, path: string): Promise<ReaderAnswer> {
  thread.postMessage('next');
  try {
    const [reply] = (await Promise.race([once(thread, 'message'), death])) as [ReaderAnswer];
    return reply;
  } catch (cause) {
    throw unreadable(path, 'a part of it is damaged', cause);
  }
}

function unreadable(path: string, why: string, cause?: unknown): EscadaFailure {
  const message = `Cannot use ${path}: ${why}.`;
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { path }, cause });
}

/** The thread that holds one lexical index. It is ended, never asked to end. */
import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { parentPort } from 'node:worker_threads';
import type { FailureCode } from '../../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { isEscadaFailure } from '../../sdk/contracts/failure.ts';
import type { RetrieverDocument, RetrieverHit } from '../../sdk/contracts/retriever.ts';
import { LexicalIndex, openIndex } from './lexical-index.ts';
import { TableFiller } from './lexical-tables.ts';
import { loadSqlite } from './sqlite.ts';

export type LexicalJob =
  | { readonly op: 'begin'; readonly keepTexts: boolean }
  | { readonly op: 'add'; readonly documents: readonly RetrieverDocument[] }
  | { readonly op: 'finish' }
  /** Writes what was filled in to a new file. */
  | { readonly op: 'write'; readonly path: string }
  /** What was filled in is searched from now on. */
  | { readonly op: 'search-filled' }
  | { readonly op: 'open'; readonly path: string }
  | { readonly op: 'search'; readonly query: string; readonly limit: number }
  | { readonly op: 'texts'; readonly ids: readonly string[] };

export interface LexicalResult {
  readonly documents?: number;
  readonly hits?: readonly RetrieverHit[];
  readonly texts?: readonly string[];
}

/** Failures lose their class on the way between threads. */
export type LexicalAnswer = LexicalResult & {
  readonly failure?: { readonly code: FailureCode; readonly message: string; readonly fields: JsonObject };
};

let database: DatabaseSync | undefined;
let filler: TableFiller | undefined;
let index: LexicalIndex | undefined;

function there<T>(thing: T | undefined): T {
  if (thing === undefined) throw new Error('the index was not filled or opened yet');
  return thing;
}

function run(job: LexicalJob): LexicalResult {
  switch (job.op) {
    case 'begin':
      database = new (loadSqlite().DatabaseSync)(':memory:');
      filler = new TableFiller(database, job);
      return {};
    case 'add':
      there(filler).add(job.documents);
      return {};
    case 'finish':
      there(filler).finish();
      return {};
    case 'write':
      rmSync(job.path, { force: true });
      // A vacuumed copy has no free pages, and its bytes follow from the documents alone.
      there(database).prepare('VACUUM INTO ?').run(job.path);
      return {};
    case 'search-filled':
      index = new LexicalIndex(there(database), 'in memory');
      return { documents: index.documents };
    case 'open':
      index = openIndex(job.path);
      return { documents: index.documents };
    case 'search':
      return { hits: there(index).search(job.query, job.limit) };
    case 'texts':
      return { texts: job.ids.map((id) => there(index).text(id)) };
  }
}

function answer(job: LexicalJob): LexicalAnswer {
  try {
    return run(job);
  } catch (error) {
    // What has no code ends the thread, and with it the work.
    if (!isEscadaFailure(error)) throw error;
    const { code, message, fields } = error;
    return { failure: { code, message, fields } };
  }
}

parentPort?.on('message', (job: LexicalJob) => parentPort?.postMessage(answer(job)));

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { RetrieverHit } from '../../sdk/contracts/retriever.ts';
import { foreignReason } from './lexical-tables.ts';
import { MAX_QUERY_WORDS, anyOf, wordsOf } from './match-query.ts';
import { loadSqlite } from './sqlite.ts';

/** A word that more than this share of the documents hold says little and costs most of the time … */
const COMMON_SHARE = 0.25;
/** … but only large collections need the time, and only they have words that common by nature. */
const COMMON_MIN_DOCUMENTS = 1000;

/** Opens an index that was written to a file. Throws `DATA_UNREADABLE` when it is something else. */
export function openIndex(path: string): LexicalIndex {
  let database: DatabaseSync | undefined;
  try {
    database = new (loadSqlite().DatabaseSync)(path, { readOnly: true });
    const reason = foreignReason(database);
    if (reason !== null) throw new Error(reason);
    return new LexicalIndex(database, path);
  } catch (cause) {
    database?.close();
    throw unreadable(path, cause);
  }
}

/** A database that is searched, on the thread that asks. */
export class LexicalIndex {
  readonly documents: number;
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #find: StatementSync;
  readonly #frequency: StatementSync;
  readonly #text: StatementSync;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
    this.documents = Number(database.prepare('SELECT count(*) AS n FROM documents').get()?.['n'] ?? 0);
    this.#find = database.prepare(
      `SELECT documents.id AS id, -bm25(texts) AS score FROM texts JOIN documents ON place = texts.rowid
       WHERE texts MATCH ? ORDER BY score DESC, texts.rowid LIMIT ?`,
    );
    this.#frequency = database.prepare(`SELECT doc AS documents FROM words WHERE term = ?`);
    this.#text = database.prepare('SELECT text FROM documents WHERE id = ?');
  }

  search(query: string, limit: number): readonly RetrieverHit[] {
    return this.#reading(() => {
      const words = this.#tellingWords(wordsOf(query));
      if (words.length === 0 || limit < 1) return [];
      return this.#find
        .all(anyOf(words), Math.floor(limit))
        .map((row) => ({ id: String(row['id']), score: Number(row['score']) }));
    });
  }

  text(id: string): string {
    const text = this.#reading(() => this.#text.get(id)?.['text']);
    if (typeof text === 'string') return text;
    throw unreadable(this.#path, new Error(`it holds no text of ${JSON.stringify(id)}`));
  }

  close(): void {
    this.#database.close();
  }

  /** A damaged page shows only when it is needed. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw unreadable(this.#path, cause);
    }
  }

  /** Drops very common words, unless there are no others. */
  #tellingWords(words: readonly string[]): readonly string[] {
    const most = this.documents * COMMON_SHARE;
    const rare =
      this.documents < COMMON_MIN_DOCUMENTS
        ? words
        : words.filter((word) => Number(this.#frequency.get(folded(word))?.['documents'] ?? 0) <= most);
    return (rare.length > 0 ? rare : words).slice(0, MAX_QUERY_WORDS);
  }
}

function unreadable(path: string, cause: unknown): EscadaFailure {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot read the retrieval index ${path}: ${why}.`;
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { path }, cause });
}

/** Roughly the index's own form of a word: without accents. */
function folded(word: string): string {
  return word.normalize('NFD').replaceAll(/\p{M}/gu, '');
}

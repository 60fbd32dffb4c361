import type { StatementSync } from 'node:sqlite';
import { EscadaFailure } from '../../api/failure.ts';
import type { RetrieverDocument, RetrieverIndexV1, RetrieverV1 } from '../../api/retriever.ts';
import { LEXICAL_RETRIEVER } from '../contract.ts';
import { MAX_QUERY_WORDS, anyOf, wordsOf } from './match-query.ts';
import { loadSqlite } from './sqlite.ts';

/** A word that more than this share of the documents hold says little and costs most of the time … */
const COMMON_SHARE = 0.25;
/** … but only large collections need the time, and only they have words that common by nature. */
const COMMON_MIN_DOCUMENTS = 1000;

/**
 * Ranks by BM25 over SQLite's full-text index, held in memory. Case and accents do not count. Scores are positive,
 * higher is better, comparable within one query only; equal scores come in the order of the documents.
 */
export const lexicalRetriever: RetrieverV1 = {
  specificationVersion: 'v1',
  id: LEXICAL_RETRIEVER,
  doIndex: (documents) => new LexicalIndex(documents),
};

class LexicalIndex implements RetrieverIndexV1 {
  readonly #ids: readonly string[];
  readonly #close: () => void;
  readonly #find: StatementSync;
  readonly #frequency: StatementSync;

  constructor(documents: readonly RetrieverDocument[]) {
    this.#ids = documents.map((document) => document.id);
    refuseRepeats(this.#ids);
    const database = new (loadSqlite().DatabaseSync)(':memory:');
    this.#close = () => database.close();
    database.exec(
      `CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2');
       CREATE VIRTUAL TABLE words USING fts5vocab(texts, row); BEGIN`,
    );
    const insert = database.prepare('INSERT INTO texts (rowid, text) VALUES (?, ?)');
    // SQLite ends a text at its first NUL.
    for (const [index, { text }] of documents.entries()) {
      insert.run(index, text.normalize('NFC').replaceAll('\0', ' '));
    }
    database.exec("COMMIT; INSERT INTO texts (texts) VALUES ('optimize')");
    this.#find = database.prepare(
      `SELECT rowid AS place, -bm25(texts) AS score FROM texts WHERE texts MATCH ?
       ORDER BY score DESC, rowid LIMIT ?`,
    );
    this.#frequency = database.prepare(`SELECT doc AS documents FROM words WHERE term = ?`);
  }

  doSearch(query: string, limit: number): readonly { readonly id: string; readonly score: number }[] {
    const words = this.#tellingWords(wordsOf(query));
    if (words.length === 0 || limit < 1) return [];
    return this.#find.all(anyOf(words), Math.floor(limit)).map((row) => ({
      id: this.#ids[Number(row['place'])] ?? '',
      score: Number(row['score']),
    }));
  }

  close(): void {
    this.#close();
  }

  /** Drops very common words, unless there are no others. */
  #tellingWords(words: readonly string[]): readonly string[] {
    const most = this.#ids.length * COMMON_SHARE;
    const rare =
      this.#ids.length < COMMON_MIN_DOCUMENTS
        ? words
        : words.filter((word) => Number(this.#frequency.get(folded(word))?.['documents'] ?? 0) <= most);
    return (rare.length > 0 ? rare : words).slice(0, MAX_QUERY_WORDS);
  }
}

/** Roughly the index's own form of a word: without accents. */
function folded(word: string): string {
  return word.normalize('NFD').replaceAll(/\p{M}/gu, '');
}

function refuseRepeats(ids: readonly string[]): void {
  if (new Set(ids).size === ids.length) return;
  const seen = new Set<string>();
  const repeated = ids.find((id) => seen.has(id) || !seen.add(id));
  const message = `Two documents of a retrieval index have the id ${JSON.stringify(repeated)}.`;
  throw new EscadaFailure({ code: 'INTERNAL', message, fields: { id: repeated ?? '' } });
}

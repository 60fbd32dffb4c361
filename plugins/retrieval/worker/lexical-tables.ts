import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { RetrieverDocument } from '../../sdk/contracts/retriever.ts';
import { loadSqlite } from './sqlite.ts';

/** Marks our files among all SQLite files: "ESCX". */
export const APPLICATION_ID = 0x45534358;
/** Raised when the tables change. */
export const LAYOUT_VERSION = 1;

/**
 * Fills an empty database, batch by batch: `documents(place, id, text)`, the full-text index `texts` (which keeps no texts
 * itself) and `words`, how many documents hold a word. Without `keepTexts` the column `text` stays empty.
 */
export class TableFiller {
  readonly #database: DatabaseSync;
  readonly #keepTexts: boolean;
  readonly #document: StatementSync;
  readonly #words: StatementSync;
  readonly #seen = new Set<string>();

  constructor(database: DatabaseSync, options: { readonly keepTexts: boolean }) {
    database.exec(
      `PRAGMA application_id = ${APPLICATION_ID};
       PRAGMA user_version = ${LAYOUT_VERSION};
       CREATE TABLE documents (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT);
       CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2');
       CREATE VIRTUAL TABLE words USING fts5vocab(texts, row); BEGIN`,
    );
    this.#database = database;
    this.#keepTexts = options.keepTexts;
    this.#document = database.prepare('INSERT INTO documents VALUES (?, ?, ?)');
    this.#words = database.prepare('INSERT INTO texts (rowid, text) VALUES (?, ?)');
  }

  /** Throws `INTERNAL` for an id that was there before. */
  add(documents: readonly RetrieverDocument[]): void {
    for (const { id, text } of documents) {
      const place = this.#seen.size;
      this.#refuseRepeat(id);
      this.#document.run(place, id, this.#keepTexts ? text : null);
      // SQLite ends a text at its first NUL.
      this.#words.run(place, text.normalize('NFC').replaceAll('\0', ' '));
    }
  }

  finish(): void {
    this.#database.exec("COMMIT; INSERT INTO texts (texts) VALUES ('optimize')");
  }

  #refuseRepeat(id: string): void {
    if (!this.#seen.has(id)) return void this.#seen.add(id);
    const message = `Two documents of a retrieval index have the id ${JSON.stringify(id)}.`;
    throw new EscadaFailure({ code: 'INTERNAL', message, fields: { id } });
  }
}

/** Why a database is not one of ours; null when it is. */
export function foreignReason(database: DatabaseSync): string | null {
  const number = (name: string) => Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
  if (number('application_id') !== APPLICATION_ID) return 'it is not a retrieval index';
  const version = number('user_version');
  if (version !== LAYOUT_VERSION)
    return `its layout is version ${version}, this program reads ${LAYOUT_VERSION}`;
  return sameTables(database) ? null : 'its tables are not those of a retrieval index';
}

/** A view or a trigger in a table's place would run what its author wrote: the definitions must be ours to the letter. */
function sameTables(database: DatabaseSync): boolean {
  const own = new (loadSqlite().DatabaseSync)(':memory:');
  try {
    new TableFiller(own, { keepTexts: true }).finish();
    const read = (one: DatabaseSync) =>
      JSON.stringify(one.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all());
    return read(database) === read(own);
  } finally {
    own.close();
  }
}

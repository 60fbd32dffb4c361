import type { DatabaseSync } from 'node:sqlite';
import { EscadaFailure } from '../../api/failure.ts';
import type { RetrieverDocument } from '../../api/retriever.ts';
import { loadSqlite } from './sqlite.ts';

/** Marks our files among all SQLite files: "ESCX". */
export const APPLICATION_ID = 0x45534358;
/** Raised when the tables change. */
export const LAYOUT_VERSION = 1;

/**
 * Fills an empty database: `documents(place, id, text)`, the full-text index `texts` (which keeps no texts itself) and
 * `words`, how many documents hold a word. Without `keepTexts` the column `text` stays empty.
 */
export function fillTables(
  database: DatabaseSync,
  documents: readonly RetrieverDocument[],
  options: { readonly keepTexts: boolean },
): void {
  refuseRepeats(documents);
  database.exec(
    `PRAGMA application_id = ${APPLICATION_ID};
     PRAGMA user_version = ${LAYOUT_VERSION};
     CREATE TABLE documents (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT);
     CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2');
     CREATE VIRTUAL TABLE words USING fts5vocab(texts, row); BEGIN`,
  );
  const document = database.prepare('INSERT INTO documents VALUES (?, ?, ?)');
  const words = database.prepare('INSERT INTO texts (rowid, text) VALUES (?, ?)');
  for (const [place, { id, text }] of documents.entries()) {
    document.run(place, id, options.keepTexts ? text : null);
    // SQLite ends a text at its first NUL.
    words.run(place, text.normalize('NFC').replaceAll('\0', ' '));
  }
  database.exec("COMMIT; INSERT INTO texts (texts) VALUES ('optimize')");
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
    fillTables(own, [], { keepTexts: true });
    const read = (one: DatabaseSync) =>
      JSON.stringify(one.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all());
    return read(database) === read(own);
  } finally {
    own.close();
  }
}

function refuseRepeats(documents: readonly RetrieverDocument[]): void {
  const seen = new Set<string>();
  for (const { id } of documents) {
    if (seen.has(id)) {
      const message = `Two documents of a retrieval index have the id ${JSON.stringify(id)}.`;
      throw new EscadaFailure({ code: 'INTERNAL', message, fields: { id } });
    }
    seen.add(id);
  }
}

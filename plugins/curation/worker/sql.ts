/** Pieces of SQL that several steps share. */

/** Rows per Parquet row group: fixed, because it is part of the bytes. */
export const ROW_GROUP_ROWS = 20_480;

/** A string literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A quoted column name. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A Parquet file as a table, `numbered` with a column `file_row_number` from 0. Folder names of the form `a=b` in its
 * path are no columns.
 */
export function parquetTable(path: string, form: 'plain' | 'numbered' = 'plain'): string {
  const number = form === 'numbered' ? ', file_row_number=true' : '';
  return `read_parquet(${literal(path)}, hive_partitioning=false${number})`;
}

/** Statement that writes the rows of `select` (which must end in ORDER BY) in a form that only depends on the rows. */
export function copyToParquet(select: string, path: string): string {
  const options = `FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`;
  return `COPY (${select}) TO ${literal(path)} (${options})`;
}

/**
 * Macros. `text_key`: lower case, every run of white space one blank, for comparing texts. `is_blank`: nothing but white
 * space and invisible characters.
 */
export const MACROS = [
  String.raw`CREATE MACRO text_key(x) AS trim(regexp_replace(lower(x), '[\s\p{Z}]+', ' ', 'g'))`,
  String.raw`CREATE MACRO is_blank(x) AS NOT regexp_matches(x, '[^\s\p{Z}\p{C}]')`,
];

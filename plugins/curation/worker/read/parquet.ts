import type { StepDatabase, Row } from '../step-database.ts';
import { identifier, literal } from '../sql.ts';
import { checkColumns, mappedColumns } from './pick-columns.ts';
import type { ColumnMap } from './pick-columns.ts';
import { stage } from './stage.ts';
import { engineText, otherTrouble, unreadable } from './unreadable.ts';
import type { DataFile } from './unreadable.ts';

/**
 * Loads a Parquet file into the view `raw(row, input, output, …)`; returns the column names.
 * Lists, structs and maps become JSON text.
 */
export async function loadParquet(database: StepDatabase, file: DataFile, map: ColumnMap): Promise<string[]> {
  // Many writers leave the text annotation out; without it texts would be read as binary.
  const table = `read_parquet(${literal(file.path)}, binary_as_string=true, hive_partitioning=false)`;
  const types = await columnTypes(database, file, table);
  checkColumns(file, map, [...types.keys()]);
  const text = (name: string): string => {
    const nested = /^(STRUCT|MAP|UNION)|\]$/.test(types.get(name) ?? '');
    return nested ? `CAST(to_json(${identifier(name)}) AS VARCHAR)` : `CAST(${identifier(name)} AS VARCHAR)`;
  };
  const select = mappedColumns(map).map(({ name, column }) => `${text(name)} AS ${column}`);
  try {
    await stage(database, file, `SELECT ${select.join(', ')} FROM ${table}`);
  } catch (error) {
    throw explain(file, error);
  }
  return [...types.keys()];
}

async function columnTypes(
  database: StepDatabase,
  file: DataFile,
  table: string,
): Promise<Map<string, string>> {
  let rows: Row[];
  try {
    rows = await database.rows(`DESCRIBE SELECT * FROM ${table}`);
  } catch (error) {
    throw explain(file, error);
  }
  return new Map(rows.map((row) => [String(row['column_name']), String(row['column_type'])]));
}

function explain(file: DataFile, cause: unknown): Error {
  const trouble = otherTrouble(cause);
  if (trouble !== undefined) return trouble;
  const why = (engineText(cause).split('\n')[0] ?? '').replaceAll(file.path, file.name).slice(0, 300);
  return unreadable(file, 0, `it is not a readable Parquet file (${why})`, cause);
}

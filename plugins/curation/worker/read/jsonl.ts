import { createReadStream } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import type { StepDatabase } from '../step-database.ts';
import { literal } from '../sql.ts';
import { checkColumns, mappedColumns } from './pick-columns.ts';
import type { ColumnMap } from './pick-columns.ts';
import { stage } from './stage.ts';
import { engineText, otherTrouble, unreadable } from './unreadable.ts';
import type { DataFile } from './unreadable.ts';

const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
/** Lines from which the column names are collected. */
const PEEK_LINES = 1000;

/**
 * Loads JSON Lines into the view `raw(row, input, output, …)`; returns the keys of the first thousand objects.
 * Strings are taken as they are, other values as JSON text (numbers in their shortest form), null and absent ones as null.
 */
export async function loadJsonLines(
  database: StepDatabase,
  file: DataFile,
  map: ColumnMap,
): Promise<string[]> {
  const names = await peekColumns(file);
  const wanted = [...new Set(mappedColumns(map).map(({ name }) => name))];
  const select = mappedColumns(map).map(({ name, column }) => `c.v${wanted.indexOf(name)} AS ${column}`);
  try {
    // With one column the reader would take lines that are no objects for values of it: `records` forbids that.
    const table = `${jsonTable(file, wanted)} AS c(${wanted.map((_, index) => `v${index}`).join(', ')})`;
    await stage(database, file, `SELECT ${select.join(', ')} FROM ${table}`);
  } catch (error) {
    throw await explain(file, error);
  }
  const later = await laterColumns(database, map, names);
  checkColumns(file, map, [...names, ...later]);
  return [...names, ...later];
}

function jsonTable(file: DataFile, wanted: readonly string[]): string {
  const types = wanted.map((name) => `${literal(name)}: 'VARCHAR'`).join(', ');
  return `read_json(${literal(file.path)}, format='newline_delimited', records='true', columns={${types}},
    maximum_object_size=${MAX_OBJECT_BYTES}, hive_partitioning=false)`;
}

/** Mapped keys that the first lines lack but later ones have. */
async function laterColumns(
  database: StepDatabase,
  map: ColumnMap,
  names: readonly string[],
): Promise<string[]> {
  const later: string[] = [];
  for (const { column, name } of mappedColumns(map)) {
    if (names.includes(name) || later.includes(name)) continue;
    if ((await database.number(`SELECT count(${column}) FROM raw`)) > 0) later.push(name);
  }
  return later;
}

async function peekColumns(file: DataFile): Promise<string[]> {
  const names = new Set<string>();
  for await (const { line, number } of jsonLines(file)) {
    for (const name of Object.keys(parseLine(file, line, number))) names.add(name);
    if (number >= PEEK_LINES) break;
  }
  if (names.size === 0) throw unreadable(file, 0, 'it holds no JSON objects');
  return [...names];
}

function parseLine(file: DataFile, line: Buffer, number: number): object {
  if (!isUtf8(line)) throw unreadable(file, number, 'the text is not UTF-8');
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    const why =
      cause instanceof Error ? cause.message.replace(/ in JSON at position .*/s, '') : String(cause);
    throw unreadable(file, number, `it is not one JSON object (${why.slice(0, 200)})`, cause);
  }
  throw unreadable(file, number, 'it is JSON, but not an object');
}

/** Lines that are not blank, with their numbers from 1. */
async function* jsonLines(file: DataFile): AsyncGenerator<{ line: Buffer; number: number }> {
  let number = 0;
  let rest: Buffer = Buffer.alloc(0);
  const isBlank = (line: Buffer): boolean => line.every((byte) => byte === 32 || byte === 9 || byte === 13);
  for await (const chunk of createReadStream(file.path, { highWaterMark: 1 << 18 })) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    let start = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
      const line = rest.subarray(start, end);
      start = end + 1;
      number += 1;
      if (!isBlank(line)) yield { line, number };
    }
    rest = rest.subarray(start);
    if (rest.length > MAX_OBJECT_BYTES) throw unreadable(file, number + 1, 'the line is longer than 16 MiB');
  }
  if (!isBlank(rest)) yield { line: rest, number: number + 1 };
}

/** The engine does not count lines reliably, so a refused file is looked through once more. */
async function explain(file: DataFile, cause: unknown): Promise<Error> {
  const trouble = otherTrouble(cause);
  if (trouble !== undefined) return trouble;
  for await (const { line, number } of jsonLines(file)) parseLine(file, line, number);
  const why = engineText(cause).split('\n')[0] ?? '';
  return unreadable(
    file,
    0,
    `the table engine says: ${why.replaceAll(file.path, file.name).slice(0, 300)}`,
    cause,
  );
}

/** Bulk data between a worker and its child: files of one JSON object a line, in a folder that is always removed. */
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { z } from 'zod';
import { EscadaFailure } from '../contracts/failure.ts';
import { PRIVATE_FILE } from '../publish.ts';
import { makeRowsFolder } from '../rows-folder.ts';

/** Characters gathered before a write: few system calls, little memory. */
const CHUNK_CHARS = 256 * 1024;

/** Writes one row a line. */
export async function writeRows(path: string, rows: Iterable<unknown>): Promise<void> {
  const file = await open(path, 'w', PRIVATE_FILE);
  try {
    let chunk = '';
    for (const row of rows) {
      chunk += `${JSON.stringify(row)}\n`;
      if (chunk.length < CHUNK_CHARS) continue;
      await file.write(chunk);
      chunk = '';
    }
    await file.write(chunk);
  } finally {
    await file.close();
  }
}

/** Reads the rows of a file that a process wrote. Throws `ENGINE_IO` that names file and line when one does not fit. */
export async function readRows<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const rows: T[] = [];
  const take = (line: string): void => {
    rows.push(parseRow(line, schema, `${path}:${rows.length + 1}`));
  };
  // Not readline: it also splits at U+2028 and U+2029, which may be unescaped inside a JSON string.
  let rest = '';
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + (chunk as string)).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  }
  if (rest !== '') take(rest);
  return rows;
}

function parseRow<T>(line: string, schema: z.ZodType<T>, place: string): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw new EscadaFailure({
      code: 'ENGINE_IO',
      message: `${place}: not a row of the expected shape`,
      cause,
    });
  }
}

/** Runs `work` with an empty folder, inside the step's scratch folder, and removes it afterwards, also when `work` fails. */
export async function withScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await makeRowsFolder();
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Where rows for a child process are written: beside the step's other files, which are private, bounded and collected. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownedName } from './owner.ts';
import { PRIVATE_FOLDER } from './publish.ts';

/** Beginnings of the folders' names, in a scratch folder and outside of steps; the rest says which process made them. */
export const ROWS_PREFIX = 'rows-';
export const LOOSE_ROWS_PREFIX = 'escada-rows-';

/** Folder, inside a step's scratch folder, for what does not fit into memory: worth nothing to another attempt. */
export const SPILL_FOLDER = 'spill';

/** Contracts of providers and trainers know no scratch folder, and a step may use several of them at once. */
const scratch = new AsyncLocalStorage<string>();

/** Runs a step's work so that rows for child processes are written under its scratch folder. */
export async function withRowsIn<T>(scratchDir: string, work: () => Promise<T>): Promise<T> {
  return await scratch.run(scratchDir, work);
}

/** A new empty folder; outside of steps under the system's temporary folder. */
export async function makeRowsFolder(): Promise<string> {
  const place = scratch.getStore();
  const name = ownedName(place === undefined ? LOOSE_ROWS_PREFIX : ROWS_PREFIX);
  const folder = join(place ?? tmpdir(), name);
  await mkdir(folder, { mode: PRIVATE_FOLDER });
  return folder;
}

/** Leftovers of processes that were killed. Each name says whose it is; what a living process has is left alone. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownerState } from '../owner.ts';
import { LOOSE_ROWS_PREFIX } from '../rows-folder.ts';

/** Entries of a folder whose names begin with `prefix` and whose process is dead. */
export async function deadIn(folder: string, prefix: string): Promise<string[]> {
  const found = [];
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.startsWith(prefix) && (await ownerState(name)) === 'dead') found.push(join(folder, name));
  }
  return found;
}

/** Removes files and folders, but what this user may not remove: the system's temporary folder holds other users', too. */
export async function removeOwn(paths: readonly string[]): Promise<number> {
  let removed = 0;
  for (const path of paths) {
    const found = await lstat(path).catch(() => null);
    if (found === null || found.uid !== (process.getuid?.() ?? found.uid)) continue;
    removed += await rm(path, { recursive: true, force: true }).then(
      () => 1,
      () => 0,
    );
  }
  return removed;
}

/** Removes rows for child processes that were written outside of steps. Returns how many folders. */
export async function sweepLooseRows(): Promise<number> {
  return await removeOwn(await deadIn(tmpdir(), LOOSE_ROWS_PREFIX));
}

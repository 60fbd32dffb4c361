/** Who is at work in a store: while an Activity runs, nothing that it made or found since its start is removed. */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownedName, ownerState } from '../../../plugins/sdk/owner.ts';
import { makeFolder, PRIVATE_FILE } from '../../../plugins/sdk/publish.ts';

/** Longer than any step may run: a hold of another machine that is older belongs to nobody. */
const MAX_FOREIGN_HOLD_MS = 8 * 86_400_000;

export interface LiveHolds {
  /** When the longest of them began, in milliseconds since 1970; infinity when there is none. */
  readonly sinceMs: number;
  /** Names of the run folders that they are about. */
  readonly runs: ReadonlySet<string>;
}

/** Runs an Activity's work under a hold. `run`: name of the run's folder. */
export async function withHold<T>(root: string, run: string, work: () => Promise<T>): Promise<T> {
  const folder = join(root, 'holds');
  await makeFolder(folder);
  const path = join(folder, ownedName(''));
  await writeFile(path, run, { flag: 'wx', mode: PRIVATE_FILE });
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** The holds of processes that live, here or elsewhere. Its age on this machine never decides whether one lives. */
export async function liveHolds(root: string, nowMs: number): Promise<LiveHolds> {
  const runs = new Set<string>();
  let sinceMs = Number.POSITIVE_INFINITY;
  for (const name of await readdir(join(root, 'holds')).catch(() => [])) {
    const path = join(root, 'holds', name);
    const found = await stat(path).catch(() => null);
    const state = await ownerState(name);
    if (found === null || state === 'dead') continue;
    if (state === 'unknown' && nowMs - found.mtimeMs > MAX_FOREIGN_HOLD_MS) continue;
    runs.add(await readFile(path, 'utf8').catch(() => ''));
    sinceMs = Math.min(sinceMs, found.mtimeMs);
  }
  return { sinceMs, runs };
}

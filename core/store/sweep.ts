/** Leftovers of processes that were killed. Each name says whose it is; what a living process has is left alone. */
import { lstat, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownerState } from '../../plugins/sdk/owner.ts';
import { TEMPORARY_PREFIX } from '../../plugins/sdk/publish.ts';
import { LOOSE_ROWS_PREFIX, ROWS_PREFIX, SPILL_FOLDER } from '../../plugins/sdk/rows-folder.ts';

const list = async (folder: string): Promise<string[]> => await readdir(folder).catch(() => []);

/** Removes half-written and half-removed files, rows for child processes, spilled tables and holds whose process is dead. Returns how many. */
export async function sweepLeftovers(root: string): Promise<number> {
  const dead = [
    ...(await deadIn(join(root, 'objects', 'incoming'), '')),
    ...(await deadIn(join(root, 'holds'), '')),
    ...(await deadIn(join(root, 'trash'), '')),
    ...(await deadIn(join(root, 'actions'), TEMPORARY_PREFIX)),
    ...(await deadIn(tmpdir(), LOOSE_ROWS_PREFIX)),
    ...(await deadBelow(join(root, 'objects', 'sha256'))),
    ...(await deadBelow(join(root, 'folders'))),
  ];
  for (const run of await list(join(root, 'runs'))) dead.push(...(await deadInRun(join(root, 'runs', run))));
  let removed = 0;
  for (const path of dead) if (await removeOwn(path)) removed += 1;
  return removed;
}

/** False for what this user may not remove: the system's temporary folder holds leftovers of other users, too. */
async function removeOwn(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  if (found === null || found.uid !== (process.getuid?.() ?? found.uid)) return false;
  return await rm(path, { recursive: true, force: true }).then(
    () => true,
    () => false,
  );
}

async function deadIn(folder: string, prefix: string): Promise<string[]> {
  const found = [];
  for (const name of await list(folder)) {
    if (name.startsWith(prefix) && (await ownerState(name)) === 'dead') found.push(join(folder, name));
  }
  return found;
}

async function deadBelow(folder: string): Promise<string[]> {
  const all = await Promise.all(
    (await list(folder)).map((name) => deadIn(join(folder, name), TEMPORARY_PREFIX)),
  );
  return all.flat();
}

/** Checkpoints of a killed attempt stay: the next one continues from them. */
async function deadInRun(run: string): Promise<string[]> {
  const found = [
    ...(await deadIn(run, TEMPORARY_PREFIX)),
    ...(await deadIn(join(run, 'results'), TEMPORARY_PREFIX)),
    ...(await deadIn(join(run, 'references'), TEMPORARY_PREFIX)),
  ];
  for (const node of await list(join(run, 'steps'))) {
    const folder = join(run, 'steps', node);
    found.push(...(await deadIn(folder, TEMPORARY_PREFIX)));
    for (const name of await list(folder)) {
      const [, token] = /^attempt-(\d+)$/.exec(name) ?? [];
      if (token === undefined) continue;
      found.push(...(await deadIn(join(folder, name), ROWS_PREFIX)));
      const owner = await readFile(join(folder, `token-${token}`), 'utf8').catch(() => '');
      const spilled = (await list(join(folder, name))).includes(SPILL_FOLDER);
      if (spilled && (await ownerState(owner)) === 'dead') found.push(join(folder, name, SPILL_FOLDER));
    }
  }
  return found;
}

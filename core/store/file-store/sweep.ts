/** Leftovers of processes that were killed. Each name says whose it is; what a living process has is left alone. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownerState } from '../../../plugins/sdk/owner.ts';
import { TEMPORARY_PREFIX } from '../../../plugins/sdk/publish.ts';
import { ROWS_PREFIX, SPILL_FOLDER } from '../../../plugins/sdk/rows-folder.ts';
import { deadIn, removeOwn } from '../../../plugins/sdk/store/leftovers.ts';

const list = async (folder: string): Promise<string[]> => await readdir(folder).catch(() => []);

/** Removes half-written and half-removed files, rows for child processes, spilled tables and holds whose process is dead. Returns how many. */
export async function sweepStore(root: string): Promise<number> {
  const dead = [
    ...(await deadIn(join(root, 'objects', 'incoming'), '')),
    ...(await deadIn(join(root, 'holds'), '')),
    ...(await deadIn(join(root, 'trash'), '')),
    ...(await deadIn(join(root, 'actions'), TEMPORARY_PREFIX)),
    ...(await deadIn(join(root, 'checkpoints'), TEMPORARY_PREFIX)),
    ...(await deadBelow(join(root, 'objects', 'sha256'))),
    ...(await deadBelow(join(root, 'folders'))),
  ];
  for (const run of await list(join(root, 'runs'))) dead.push(...(await deadInRun(join(root, 'runs', run))));
  return await removeOwn(dead);
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

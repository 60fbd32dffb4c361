/**
 * Who uses something: one empty file per user in a folder, named after the process. A process that was killed leaves a
 * file that counts for nothing, so that neither a count leaks nor a lock has to be broken.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { identify, isAlive, type ProcessId } from './process-id.ts';

const POLL_MS = 100;

export interface Claim {
  release(): Promise<void>;
}

/** Claims as one of many. */
export async function claim(folder: string): Promise<Claim> {
  const name = await place(folder);
  return { release: async () => await rm(join(folder, name), { force: true }) };
}

/** The living processes that claim, each once for each of its claims. Removes what dead ones have left. */
export async function claimants(folder: string): Promise<readonly ProcessId[]> {
  return (await living(folder)).map(({ owner }) => owner);
}

/**
 * Claims as the only one; waits while others do. Of two that come at once both step back and try again, so there is no
 * moment at which one has to take a lock away from another. Throws the signal's reason.
 */
export async function claimAlone(
  folder: string,
  options: { readonly signal?: AbortSignal; readonly onWait?: (holder: ProcessId) => void } = {},
): Promise<Claim> {
  let reported = false;
  for (;;) {
    options.signal?.throwIfAborted();
    let [holder] = await living(folder);
    if (holder === undefined) {
      const name = await place(folder);
      holder = (await living(folder)).find((other) => other.name !== name);
      const release = async () => await rm(join(folder, name), { force: true });
      if (holder === undefined) return { release };
      await release();
    }
    if (!reported) options.onWait?.(holder.owner);
    reported = true;
    await sleep(POLL_MS * (0.5 + Math.random()), undefined, { signal: options.signal });
  }
}

/** Runs `work` while no other process (and no other caller in this one) runs under the same folder. */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const held = await claimAlone(folder);
  try {
    return await work();
  } finally {
    await held.release();
  }
}

async function place(folder: string): Promise<string> {
  const self = await identify(process.pid);
  if (self === null)
    throw new EscadaFailure({ code: 'INTERNAL', message: 'This process cannot be identified.' });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = `${self.pid}-${self.birth}-${await inodeOf(folder)}-${randomBytes(4).toString('hex')}`;
  await writeFile(join(folder, name), '', { flag: 'wx', mode: 0o600 });
  return name;
}

async function living(folder: string): Promise<{ readonly name: string; readonly owner: ProcessId }[]> {
  const found = [];
  const inode = await inodeOf(folder);
  for (const name of await readdir(folder).catch(() => [])) {
    const [, pid, birth, of] = /^(\d+)-([0-9a-f]{16})-(\d+)-[0-9a-f]{8}$/.exec(name) ?? [];
    if (pid === undefined || birth === undefined) continue;
    const owner = { pid: Number(pid), birth };
    // A copy of the folder holds copies of the claims on the original.
    if (of === inode && (await isAlive(owner))) found.push({ name, owner });
    else await rm(join(folder, name), { force: true });
  }
  return found;
}

/** Empty when there is no such folder. */
async function inodeOf(folder: string): Promise<string> {
  const found = await stat(folder, { bigint: true }).catch(() => null);
  return found === null ? '' : String(found.ino);
}

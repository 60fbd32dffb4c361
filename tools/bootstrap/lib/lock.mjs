import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const REFRESH_MS = 5_000;
/** A holder on another host is taken for dead when it has not refreshed its lock for this long. */
const STALE_MS = 60_000;
const POLL_MS = 500;

/**
 * Runs `action` while holding a lock file. Waits for a living holder; takes over from a dead one.
 * @template T
 * @param {string} file
 * @param {{ signal?: AbortSignal, onWait?: (holder: string) => void }} options
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function withLock(file, { signal, onWait }, action) {
  let told = false;
  while (!(await take(file))) {
    signal?.throwIfAborted();
    const holder = await readHolder(file);
    if (holder !== null && (await isAbandoned(file, holder))) {
      await remove(file, holder);
      continue;
    }
    if (!told && holder !== null) onWait?.(`process ${holder.pid} on ${holder.host}`);
    told = true;
    await sleep(POLL_MS, undefined, { signal });
  }
  const refresh = setInterval(() => void touch(file), REFRESH_MS);
  refresh.unref();
  try {
    return await action();
  } finally {
    clearInterval(refresh);
    await rm(file, { force: true });
  }
}

/** @param {string} file */
async function take(file) {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(JSON.stringify({ pid: process.pid, host: os.hostname() }));
    await handle.close();
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * @param {string} file
 * @returns {Promise<{ pid: number, host: string } | null>} null when the lock vanished meanwhile. A lock that
 *   was created but not yet written, or torn, has pid 0: only its age decides.
 */
async function readHolder(file) {
  try {
    const text = await readFile(file, 'utf8');
    const { pid, host } = /** @type {{ pid: number, host: string }} */ (
      JSON.parse(text || '{"pid":0,"host":""}')
    );
    return { pid, host };
  } catch (error) {
    return error instanceof SyntaxError ? { pid: 0, host: '' } : null;
  }
}

/**
 * @param {string} file
 * @param {{ pid: number, host: string }} holder
 */
async function isAbandoned(file, holder) {
  if (holder.host === os.hostname() && holder.pid > 0 && !isAlive(holder.pid)) return true;
  const changed = await stat(file).catch(() => null);
  return changed !== null && Date.now() - changed.mtimeMs > STALE_MS;
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/**
 * Moves a dead holder's lock out of the way. Another waiter may have done so and taken the lock between our
 * judgement and the rename: then what we moved belongs to a living holder and goes back.
 * @param {string} file
 * @param {{ pid: number, host: string }} judged
 */
async function remove(file, judged) {
  const aside = `${file}-${randomBytes(4).toString('hex')}`;
  await rename(file, aside).catch(() => undefined);
  const moved = await readHolder(aside);
  if (moved !== null && moved.pid !== judged.pid) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

/** @param {string} file */
async function touch(file) {
  const now = new Date();
  await utimes(file, now, now).catch(() => undefined);
}

// A lock is a file that names its holder. On the holder's own machine the process decides, by its number and the time
// it started: a holder that slept or was stopped, and a clock that jumped, change nothing. Elsewhere nothing can be
// asked; there a holder is given up when its lock stayed untouched while a waiter looked on, by the waiter's own clock.
import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, processSpace, processStart } from './process-identity.mjs';

const REFRESH_MS = 5_000;
/** How long a waiter watches a lock that nobody refreshes before it takes its holder elsewhere for dead. */
const STALE_MS = 60_000;
const POLL_MS = 500;

/**
 * @typedef {object} Holder
 * @property {string} token Of this one holding.
 * @property {number} pid
 * @property {string | null} start See `processStart`.
 * @property {string} host
 * @property {string} space See `processSpace`.
 *
 * @typedef {{ signal?: AbortSignal, onWait?: (holder: string) => void, staleMs?: number }} LockOptions
 *   `onWait` is called once when there is somebody to wait for; `staleMs` is a minute but in tests.
 */

/**
 * Runs `action` while holding a lock file. Waits for a living holder; takes over from a dead one.
 * @template T
 * @param {string} file
 * @param {LockOptions} options
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function withLock(file, { signal, onWait, staleMs = STALE_MS }, action) {
  const own = await describeSelf();
  const watch = new Watch(staleMs);
  let reported = false;
  /** @type {import('node:fs/promises').FileHandle | null} */
  let handle;
  while ((handle = await take(file, own)) === null) {
    signal?.throwIfAborted();
    const holder = await readHolder(file);
    if (holder === null) continue;
    if (await isAbandoned(file, holder, own, watch)) {
      await removeAbandoned(file, holder, own, watch);
      continue;
    }
    if (!reported && holder.pid > 0) onWait?.(`process ${holder.pid} on ${holder.host}`);
    reported ||= holder.pid > 0;
    await sleep(POLL_MS, undefined, { signal });
  }
  return await hold(file, own, handle, action);
}

/**
 * @template T
 * @param {string} file
 * @param {Holder} own
 * @param {import('node:fs/promises').FileHandle} handle
 * @param {() => Promise<T>} action
 */
async function hold(file, own, handle, action) {
  // Through the handle: the path may by then be somebody else's lock.
  const refresh = setInterval(() => {
    const now = new Date();
    handle.utimes(now, now).catch(() => undefined);
  }, REFRESH_MS);
  refresh.unref();
  try {
    return await action();
  } finally {
    clearInterval(refresh);
    await handle.close();
    if ((await readHolder(file))?.token === own.token) await rm(file, { force: true });
  }
}

/** @returns {Promise<Holder>} */
async function describeSelf() {
  const { pid } = process;
  return {
    token: randomUUID(),
    pid,
    start: await processStart(pid),
    host: os.hostname(),
    space: processSpace(),
  };
}

/**
 * @param {string} file
 * @param {Holder} own
 * @returns {Promise<import('node:fs/promises').FileHandle | null>} null when somebody else holds it.
 */
async function take(file, own) {
  const handle = await open(file, 'wx', 0o600).catch(orNull('EEXIST'));
  if (handle === null) return null;
  try {
    await handle.writeFile(JSON.stringify(own));
    return handle;
  } catch (error) {
    await handle.close();
    await rm(file, { force: true });
    throw error;
  }
}

/**
 * @param {string} file
 * @returns {Promise<Holder | null>} null when the lock vanished meanwhile. A lock that was created but not yet
 *   written, or torn, has pid 0 and belongs nowhere: only watching decides.
 */
async function readHolder(file) {
  const text = await readFile(file, 'utf8').catch(orNull('ENOENT'));
  if (text === null) return null;
  /** @type {Partial<Holder>} */
  let read = {};
  try {
    read = Object(JSON.parse(text));
  } catch {
    // Torn.
  }
  const { token = '', pid = 0, start = null, host = '', space = '' } = read;
  return { token, pid, start, host, space };
}

/**
 * @param {string} file
 * @param {Holder} holder
 * @param {Holder} own
 * @param {Watch} watch
 */
async function isAbandoned(file, holder, own, watch) {
  if (holder.pid > 0 && holder.space === own.space) return !(await isRunning(holder.pid, holder.start));
  return watch.isStale(await stat(file).catch(() => null));
}

/** Watches a lock for signs of life, by a clock that nobody sets. */
class Watch {
  /** @param {number} staleMs */
  constructor(staleMs) {
    this.staleMs = staleMs;
    this.seen = '';
    this.sinceMs = 0;
    this.looks = 0;
  }

  /** @param {import('node:fs').Stats | null} found null: it is gone, which is not for this to judge. */
  isStale(found) {
    if (found === null) return false;
    const seen = `${found.ino} ${found.mtimeMs} ${found.size}`;
    if (seen !== this.seen) [this.seen, this.sinceMs, this.looks] = [seen, performance.now(), 0];
    this.looks += 1;
    // One look before and one after a stop of the whole machine say nothing about the time between.
    const enough = this.looks > this.staleMs / POLL_MS / 2;
    return enough && performance.now() - this.sinceMs > this.staleMs;
  }
}

/**
 * Removes a dead holder's lock. Several waiters may have judged it: one at a time looks again, and removes only what
 * still is that holder's, so that none takes away the lock of a successor.
 * @param {string} file
 * @param {Holder} judged
 * @param {Holder} own
 * @param {Watch} watch
 */
async function removeAbandoned(file, judged, own, watch) {
  const guard = `${file}.takeover`;
  const handle = await take(guard, own);
  if (handle === null) {
    const other = await readHolder(guard);
    if (other !== null && (await isAbandoned(guard, other, own, watch))) await moveAside(guard, other);
    await sleep(POLL_MS / 10);
    return;
  }
  try {
    if ((await readHolder(file))?.token === judged.token) await rm(file, { force: true });
  } finally {
    await handle.close();
    await rm(guard, { force: true });
  }
}

/**
 * Removes the guard of a process that died between two system calls; what turns out to be another's goes back.
 * @param {string} file
 * @param {Holder} judged
 */
async function moveAside(file, judged) {
  const aside = `${file}-${randomUUID()}`;
  await rename(file, aside).catch(() => undefined);
  const moved = await readHolder(aside);
  if (moved !== null && moved.token !== judged.token) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

/**
 * Turns one kind of file system error into null.
 * @param {string} expected
 * @returns {(error: NodeJS.ErrnoException) => null}
 */
function orNull(expected) {
  return (error) => {
    if (error.code === expected) return null;
    throw error;
  };
}

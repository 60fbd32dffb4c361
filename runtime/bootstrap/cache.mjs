// The user cache holds what takes long to make: the engine, the Temporal CLI and the model. Each thing is in a
// folder named by the digest of what it was made from, appears there complete or not at all (rename), and is made
// by one process at a time (lock), so that two set-ups at once neither build twice nor see half a file. It counts only
// while it is as it was put there (seal) and nobody else could have written to it.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from './cache-folder.mjs';
import { BootstrapError } from './errors.mjs';
import { withLock } from './lock.mjs';
import { isSealed, seal } from './seal.mjs';
import { syncToDisk } from './sync.mjs';

const BUILDING_PREFIX = '.building-';
const PRIVATE = 0o700;

/** @typedef {import('./seal.mjs').Pins} Pins */

/**
 * A key for a cache folder: the first 16 hex digits of the SHA-256 over the parts. Parts are delimited by their
 * lengths, so that moving text from one part to its neighbour gives another key.
 * @param {(string | Uint8Array)[]} parts
 * @returns {string}
 */
export function keyOf(parts) {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * `<cache>/<kind>/<key>` when it is there, whole and unchanged.
 * @param {{ kind: string, key: string, pins?: Pins, env?: import('./exec.mjs').Env }} options
 * @returns {Promise<string | null>}
 * @throws {BootstrapError} `SETUP_CACHE_UNSAFE` when the cache is somebody else's.
 */
export async function findCached({ kind, key, pins, env = process.env }) {
  const shelf = path.join(cacheFolder(env), kind);
  for (const folder of [cacheFolder(env), shelf]) if (!(await ownFolder(folder))) return null;
  const folder = path.join(shelf, key);
  if (!(await isSealed(folder, pins))) return null;
  await markUsed(folder);
  return folder;
}

/**
 * Returns `<cache>/<kind>/<key>`, calling `build` first when it does not exist yet or is not as it was put there.
 * @param {object} options
 * @param {string} options.kind Folder of like things, e.g. `engine`.
 * @param {string} options.key Digest of everything the result depends on.
 * @param {(folder: string) => Promise<unknown>} options.build Fills an empty folder on the same file system; what it
 *   leaves there is published. A throw publishes nothing.
 * @param {number} options.keep How many other keys of this kind to keep; the longest unused go first.
 * @param {Pins} [options.pins] Digests known beforehand; `build` has checked them.
 * @param {import('./exec.mjs').Env} [options.env]
 * @param {AbortSignal} [options.signal]
 * @param {(holder: string) => void} [options.onWait] Called once when another process is building the same kind.
 * @returns {Promise<string>}
 * @throws {BootstrapError} `SETUP_CACHE_UNSAFE` when the cache is somebody else's.
 */
export async function cached({ kind, key, build, keep, pins, env = process.env, signal, onWait }) {
  const found = await findCached({ kind, key, pins, env });
  if (found !== null) return found;
  const shelf = path.join(cacheFolder(env), kind);
  const folder = path.join(shelf, key);
  await mkdir(shelf, { recursive: true, mode: PRIVATE });
  await withLock(path.join(shelf, '.lock'), { signal, onWait }, async () => {
    if ((await findCached({ kind, key, pins, env })) !== null) return;
    await removeAbandoned(shelf);
    const room = path.join(
      shelf,
      `${BUILDING_PREFIX}${key}-${process.pid}-${randomBytes(4).toString('hex')}`,
    );
    await mkdir(room, { mode: PRIVATE });
    try {
      await build(room);
      await seal(room);
      await rm(folder, { recursive: true, force: true });
      await rename(room, folder);
      await syncToDisk(shelf);
    } finally {
      await rm(room, { recursive: true, force: true });
    }
    await removeLongestUnused(shelf, key, keep);
  });
  return folder;
}

/**
 * Whether a folder of the cache exists; one of this user is closed to all others.
 * @param {string} folder
 * @throws {BootstrapError} `SETUP_CACHE_UNSAFE`
 */
async function ownFolder(folder) {
  const found = await stat(folder).catch(() => null);
  if (found === null) return false;
  const ours = process.getuid?.();
  if (ours !== undefined && found.uid !== ours) {
    throw new BootstrapError({
      code: 'SETUP_CACHE_UNSAFE',
      exitCode: 2,
      message: `The cache folder ${folder} belongs to another user (uid ${found.uid}, you are ${ours}).`,
      advice: [
        'Programs are run from there, so that only your own folder will do. Set ESCADA_CACHE_DIR to one',
        '(a folder that does not exist yet is made), or run this as the user who owns it.',
      ],
    });
  }
  if (ours !== undefined && (found.mode & 0o077) !== 0) await chmod(folder, PRIVATE);
  return true;
}

/**
 * The modification time of a cached folder is "last used".
 * @param {string} folder
 */
async function markUsed(folder) {
  const now = new Date();
  await utimes(folder, now, now).catch(() => undefined);
}

/**
 * Build folders of processes that were killed: whoever holds the lock knows that nobody is using them.
 * @param {string} shelf
 */
async function removeAbandoned(shelf) {
  for (const name of await readdir(shelf)) {
    if (name.startsWith(BUILDING_PREFIX)) await rm(path.join(shelf, name), { recursive: true, force: true });
  }
}

/**
 * @param {string} shelf
 * @param {string} current
 * @param {number} keep
 */
async function removeLongestUnused(shelf, current, keep) {
  const others = (await readdir(shelf)).filter((name) => !name.startsWith('.') && name !== current);
  const aged = await Promise.all(
    others.map(async (name) => ({ name, usedMs: (await stat(path.join(shelf, name))).mtimeMs })),
  );
  aged.sort((a, b) => b.usedMs - a.usedMs);
  for (const { name } of aged.slice(keep)) await rm(path.join(shelf, name), { recursive: true, force: true });
}

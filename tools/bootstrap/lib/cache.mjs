// The user cache holds what takes long to make: the engine, the Temporal CLI and the model. Each thing lies in a
// folder named by the digest of what it was made from, appears there complete or not at all (rename), and is made
// by one process at a time (lock), so that two set-ups at once neither build twice nor see half a file.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { withLock } from './lock.mjs';

const BUILDING_PREFIX = '.building-';

/**
 * The folder of everything that was built or fetched once for this user.
 * @param {import('./exec.mjs').Env} [env]
 * @returns {string} `ESCADA_CACHE_DIR`, else `$XDG_CACHE_HOME/escada`, else `~/.cache/escada`.
 */
export function cacheFolder(env = process.env) {
  if (env.ESCADA_CACHE_DIR) return path.resolve(env.ESCADA_CACHE_DIR);
  return path.join(env.XDG_CACHE_HOME || path.join(env.HOME || os.homedir(), '.cache'), 'escada');
}

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
 * Returns `<cache>/<kind>/<key>`, calling `build` first when it does not exist yet.
 * @param {object} options
 * @param {string} options.kind Folder of like things, e.g. `engine`.
 * @param {string} options.key Digest of everything the result depends on.
 * @param {(folder: string) => Promise<unknown>} options.build Fills an empty folder on the same file system; what it
 *   leaves there is published. A throw publishes nothing.
 * @param {number} options.keep How many other keys of this kind to keep; the longest unused go first.
 * @param {import('./exec.mjs').Env} [options.env]
 * @param {AbortSignal} [options.signal]
 * @param {(holder: string) => void} [options.onWait] Called once when another process is building the same kind.
 * @returns {Promise<string>}
 */
export async function cached({ kind, key, build, keep, env = process.env, signal, onWait }) {
  const shelf = path.join(cacheFolder(env), kind);
  const folder = path.join(shelf, key);
  if (await markUsed(folder)) return folder;
  await mkdir(shelf, { recursive: true });
  await withLock(path.join(shelf, '.lock'), { signal, onWait }, async () => {
    if (await markUsed(folder)) return;
    await removeAbandoned(shelf);
    const room = path.join(
      shelf,
      `${BUILDING_PREFIX}${key}-${process.pid}-${randomBytes(4).toString('hex')}`,
    );
    await mkdir(room);
    try {
      await build(room);
      await rename(room, folder);
    } finally {
      await rm(room, { recursive: true, force: true });
    }
    await removeLongestUnused(shelf, key, keep);
  });
  return folder;
}

/**
 * Whether a cached folder exists; its modification time becomes "last used".
 * @param {string} folder
 */
async function markUsed(folder) {
  const now = new Date();
  return utimes(folder, now, now).then(
    () => true,
    () => false,
  );
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

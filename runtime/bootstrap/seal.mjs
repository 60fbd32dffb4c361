// What is in the cache is run, so that it is run only as it was put there: each thing carries the digests of its
// files. Reading 150 MB at every start would be slow; a file whose number, size and times are those it had when its
// digest was last right counts as unchanged, anything else is read again.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, lstat, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { syncToDisk } from './sync.mjs';

const RECORD = '.digests.json';
const OTHERS_MAY_WRITE = 0o022;

/**
 * @typedef {{ sha256: string, seen: string }} SealedFile `seen`: see `appearance`.
 * @typedef {Record<string, SealedFile>} Seal By path inside the folder.
 * @typedef {Readonly<Record<string, string>>} Pins SHA-256 that files must have, by path inside the folder.
 */

/**
 * SHA-256 of a file's bytes, in hex.
 * @param {string} file
 * @returns {Promise<string>}
 */
export async function sha256Of(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(/** @type {Buffer} */ (chunk));
  return hash.digest('hex');
}

/**
 * Closes a finished folder: nobody else may write into it, its files and their digests are on disk.
 * @param {string} folder
 */
export async function seal(folder) {
  /** @type {Seal} */
  const files = {};
  for (const name of await listFiles(folder)) {
    const file = path.join(folder, name);
    const { mode } = await lstat(file);
    await chmod(file, mode & 0o755);
    await syncToDisk(file);
    files[name] = { sha256: await sha256Of(file), seen: await appearance(file) };
  }
  await writeRecord(folder, files);
}

/**
 * Whether a folder is as it was sealed, holds what is pinned, and belongs to this user alone.
 * @param {string} folder
 * @param {Pins} [pins]
 * @returns {Promise<boolean>} false also when there is no such folder.
 */
export async function isSealed(folder, pins = {}) {
  const there = await lstat(folder).catch(() => null);
  if (there === null || !there.isDirectory() || !isPrivate(there)) return false;
  const sealed = await readRecord(folder);
  if (sealed === null) return false;
  if (
    Object.entries(pins).some(
      ([name, sha256]) => !Object.hasOwn(sealed, name) || sealed[name]?.sha256 !== sha256,
    )
  )
    return false;
  const names = await listFiles(folder);
  if (names.join('\n') !== Object.keys(sealed).sort().join('\n')) return false;
  let isChanged = false;
  for (const name of names) {
    const file = path.join(folder, name);
    if (!isPrivate(await lstat(file))) return false;
    const seen = await appearance(file);
    const entry = /** @type {SealedFile} */ (sealed[name]);
    if (entry.seen === seen) continue;
    if ((await sha256Of(file)) !== entry.sha256) return false;
    sealed[name] = { ...entry, seen };
    isChanged = true;
  }
  if (isChanged) await writeRecord(folder, sealed);
  return true;
}

/**
 * Whether this user owns it and nobody else may write to it.
 * @param {import('node:fs').Stats} found
 */
function isPrivate({ uid, mode }) {
  const ours = process.getuid?.();
  return ours === undefined || (uid === ours && (mode & OTHERS_MAY_WRITE) === 0);
}

/**
 * Changes whenever a file is written, replaced or copied: the change time is set by the system alone.
 * @param {string} file
 */
async function appearance(file) {
  const { ino, size, mtimeNs, ctimeNs } = await lstat(file, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

/**
 * @param {string} folder
 * @returns {Promise<Seal | null>} null when there is none that can be read.
 */
async function readRecord(folder) {
  const file = path.join(folder, RECORD);
  try {
    if (!isPrivate(await lstat(file))) return null;
    /** @type {Seal} */
    const files = JSON.parse(await readFile(file, 'utf8'));
    return files;
  } catch {
    return null;
  }
}

/**
 * @param {string} folder
 * @param {Seal} files
 */
async function writeRecord(folder, files) {
  const file = path.join(folder, RECORD);
  const next = `${file}.${process.pid}.tmp`;
  await writeFile(next, JSON.stringify(files), { mode: 0o600, flush: true });
  await rename(next, file);
  await syncToDisk(folder);
}

/**
 * Everything under a folder that is no folder and no record, relative, sorted.
 * @param {string} folder
 * @param {string} [inside]
 * @returns {Promise<string[]>}
 */
async function listFiles(folder, inside = '') {
  const files = [];
  for (const entry of await readdir(path.join(folder, inside), { withFileTypes: true })) {
    const relative = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory()) files.push(...(await listFiles(folder, relative)));
    else if (!relative.startsWith(RECORD)) files.push(relative);
  }
  return files.sort();
}

/** Writing files that survive a power failure: a reader sees the whole of one or nothing, and what was returned stays. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EscadaFailure } from './contracts/failure.ts';
import { withFileFailures } from './file-failures.ts';
import { noteMovement } from './movement.ts';
import { ownedName } from './owner.ts';

/** Only the owner may look: a store holds training data, prompts and replies. */
export const PRIVATE_FILE = 0o600;
export const PRIVATE_FOLDER = 0o700;
/** Objects are never written again. */
export const READ_ONLY_FILE = 0o444;

/** Names of files in progress begin with it; the rest of the name says which process writes. */
export const TEMPORARY_PREFIX = '.tmp-';

/** SHA-256 of a file, as hex, read in pieces. An aborted signal ends it with an abort error. */
export async function sha256OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const options = { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) };
  for await (const piece of createReadStream(path, options)) {
    hash.update(piece as Buffer);
    noteMovement();
  }
  return hash.digest('hex');
}

export function sha256OfBytes(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Makes the entries of a folder, or the bytes of a file, durable. */
export async function syncPath(path: string): Promise<void> {
  const opened = await open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/**
 * Makes a folder and those above it that are missing, private to this user; gives the uppermost one that was made. One by
 * one: Node's own recursion takes a read-only disk for a missing file, and never ends under /proc.
 */
export async function makeMissing(folder: string): Promise<string | undefined> {
  try {
    await mkdir(folder, { mode: PRIVATE_FOLDER });
    return folder;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // The root of a file system is EISDIR on some.
    if (['EEXIST', 'EISDIR'].includes(code) && (await stat(folder)).isDirectory()) return undefined;
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
  }
  const first = await makeMissing(dirname(folder));
  await mkdir(folder, { mode: PRIVATE_FOLDER }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return;
    // Its parent is there: the file system is one in which nobody makes folders.
    throw error.code === 'ENOENT' ? noFolderIn(dirname(folder), error) : error;
  });
  return first ?? folder;
}

function noFolderIn(parent: string, cause: unknown): EscadaFailure {
  const message = `No folder can be made in ${parent}.`;
  return new EscadaFailure({ code: 'OUTPUT_NOT_WRITABLE', message, fields: { path: parent }, cause });
}

/** Folders whose entry in their parent is known to be on disk. */
const durableFolders = new Set<string>();

/**
 * Makes a folder and its parents, private to this user, and their entries durable. Parents that were already there are
 * synced once per process: another process may have made them a moment ago.
 */
export async function makeFolder(path: string): Promise<void> {
  const folder = resolve(path);
  const first = await makeMissing(folder);
  let made = first !== undefined;
  for (let at = folder; at !== dirname(at); at = dirname(at)) {
    if (!made && durableFolders.has(at)) return;
    if (made) await syncPath(dirname(at));
    else await syncPath(dirname(at)).catch(() => undefined);
    durableFolders.add(at);
    if (at === first) made = false;
  }
}

/** Gives a complete file, whose bytes are synced, its name, and makes the name durable. Replaces what is there. */
export async function moveInto(temporary: string, target: string): Promise<void> {
  await makeFolder(dirname(target));
  await rename(temporary, target);
  await syncPath(dirname(target));
}

/**
 * Writes a file so that a reader sees the whole of it or nothing, whatever moment the machine stops at: temporary
 * name, write, fsync, rename, fsync of the folder and of every folder made for it. Throws `DISK_FULL`,
 * `OUTPUT_NOT_WRITABLE`, `PATH_NOT_USABLE`.
 */
export async function publishFile(
  target: string,
  bytes: Uint8Array | string,
  mode = PRIVATE_FILE,
): Promise<void> {
  await withFileFailures({ path: target }, async () => {
    await makeFolder(dirname(target));
    const temporary = join(dirname(target), ownedName(TEMPORARY_PREFIX));
    try {
      const file = await open(temporary, 'wx', PRIVATE_FILE);
      try {
        await file.writeFile(bytes);
        await file.chmod(mode);
        await file.sync();
      } finally {
        await file.close();
      }
      await moveInto(temporary, target);
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

const CANNOT_LINK = new Set(['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Hard-links, or copies where the file system cannot link. The target appears whole or not at all; one that is there is
 * left as it is, unless `replace` is set.
 */
export async function linkOrCopy(
  from: string,
  to: string,
  options: { replace?: boolean } = {},
): Promise<void> {
  await makeMissing(resolve(dirname(to)));
  if (options.replace !== true) {
    try {
      await link(from, to);
      return;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return;
      if (!CANNOT_LINK.has(code)) throw error;
    }
  }
  const temporary = join(dirname(to), ownedName(TEMPORARY_PREFIX));
  try {
    await linkAnew(from, temporary);
    await rename(temporary, to);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function linkAnew(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!CANNOT_LINK.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await syncPath(to);
  }
}

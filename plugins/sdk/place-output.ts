/** Outputs where a user wants them: whole or not there, with the rights of the user's own files. */
import { constants } from 'node:fs';
import { chmod, copyFile, cp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { outputFailure } from './file-failures.ts';
import { ownedName } from './owner.ts';
import { syncPath, TEMPORARY_PREFIX } from './publish.ts';

/** Rights that new files and folders of this user have: copies of read-only objects are the user's own. */
async function giveToUser(path: string, kind: 'file' | 'folder'): Promise<void> {
  await chmod(path, (kind === 'file' ? 0o666 : 0o777) & ~process.umask());
}

/**
 * Writes a file where a user wants it: under a temporary name beside it, then renamed. Throws `DISK_FULL` or
 * `OUTPUT_NOT_WRITABLE`, and leaves nothing behind then.
 */
export async function placeFile(from: string | Uint8Array, to: string, what: string): Promise<void> {
  await placed(to, what, async (temporary) => {
    if (typeof from === 'string') await copyFile(from, temporary, constants.COPYFILE_FICLONE);
    else await writeFile(temporary, from, { flag: 'wx' });
    await giveToUser(temporary, 'file');
    await syncPath(temporary);
  });
}

/** The same for a folder with all that is in it; `to` is new, or an empty folder. */
export async function placeFolder(from: string, to: string, what: string): Promise<void> {
  await placed(to, what, async (temporary) => {
    await cp(from, temporary, { recursive: true });
    await giveToUser(temporary, 'folder');
    for (const entry of await readdir(temporary, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      await giveToUser(path, entry.isDirectory() ? 'folder' : 'file');
      if (entry.isFile()) await syncPath(path);
    }
  });
}

async function placed(to: string, what: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const target = resolve(to);
  const temporary = join(dirname(target), ownedName(TEMPORARY_PREFIX));
  try {
    await fill(temporary);
    await rename(temporary, target);
    await syncPath(dirname(target));
  } catch (cause) {
    throw outputFailure(cause, what, to);
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
  }
}

import { randomBytes } from 'node:crypto';
import { link, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeMissing, sha256OfBytes } from '../../../plugins/sdk/publish.ts';

/**
 * 12 hexadecimal digits that distinguish this store from all others, also from a copy of it: made from a random file in
 * it, which the first look creates, and from its path.
 */
export async function storeId(storeRoot: string): Promise<string> {
  await makeMissing(resolve(storeRoot));
  const path = join(storeRoot, 'id');
  const seed = (await readSeed(path)) ?? (await createSeed(path));
  return sha256OfBytes(`${seed}\n${await realpath(storeRoot)}`).slice(0, 12);
}

async function readSeed(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return /^[0-9a-f]{32}\n$/.test(text) ? text.trim() : null;
}

/** Of several that come at once, one file wins and all read it; it is never there without its content. */
async function createSeed(path: string): Promise<string> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  await writeFile(temporary, `${randomBytes(16).toString('hex')}\n`, {
    flag: 'wx',
    mode: 0o600,
    flush: true,
  });
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // There, but torn by a crash: no run can have used it.
    if ((await readSeed(path)) === null) await writeFile(path, await readFile(temporary), { flush: true });
  } finally {
    await rm(temporary, { force: true });
  }
  return (await readSeed(path)) ?? '';
}

import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { logFiles } from '../../core/store/clean-home.ts';
import { sizeOf } from '../../plugins/sdk/size-of.ts';
import { withStore } from '../../client/with-store.ts';
import type { Settings } from '../../runtime/settings.ts';
import { megabytes } from './size.ts';

/** How much the store, the logs and the cache take, where they are, and what is free. */
export async function diskUse(settings: Settings): Promise<string> {
  const { home, cacheDir } = settings;
  const store = await withStore({ settings }, async (one) => await one.usage());
  const cache = await sizeOf(cacheDir);
  const logs = await Promise.all((await logFiles(home)).map(async ({ path }) => await sizeOf(path)));
  const logBytes = logs.reduce((sum, size) => sum + size, 0);
  const free = await freeBytes(home);
  return `store ${megabytes(store)} and logs ${megabytes(logBytes)} in ${home}, cache ${megabytes(cache)} in ${cacheDir}; ${megabytes(free)} free. \`escada clean\` removes what old runs left`;
}

/** Free bytes of the disk that a folder is on, or will be. */
async function freeBytes(folder: string): Promise<number> {
  for (let at = folder; ; at = dirname(at)) {
    if ((await stat(at).catch(() => null)) === null && at !== dirname(at)) continue;
    const { bavail, bsize } = await statfs(at);
    return bavail * bsize;
  }
}

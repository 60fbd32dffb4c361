/** When a file of the store was last used: its access time, which is set here whatever the file system itself records. */
import type { Stats } from 'node:fs';
import { stat, utimes } from 'node:fs/promises';

/** Uses that follow each other closely are one: a file's times are not worth a write each. */
const SAME_USE_MS = 300_000;

/** Time of the last use or change, in milliseconds since 1970. */
export function lastUseMs({ atimeMs, mtimeMs }: Stats): number {
  return Math.max(atimeMs, mtimeMs);
}

/** Records a use; the time of the last change stays. False when the file is gone. */
export async function markUsed(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    const sinceMs = Date.now() - lastUseMs(found);
    // A clock that was set back would make it look used in the future.
    if (sinceMs > SAME_USE_MS || sinceMs < -SAME_USE_MS) await utimes(path, new Date(), found.mtime);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

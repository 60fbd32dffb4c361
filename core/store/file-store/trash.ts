/** Removing beside workers: moved aside first, so that what somebody uses meanwhile is put back. */
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Removed } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { ownedName } from '../../../plugins/sdk/owner.ts';
import { makeFolder } from '../../../plugins/sdk/publish.ts';
import { sizeOf } from '../../../plugins/sdk/size-of.ts';
import { lastUseMs } from './last-use.ts';

/** Removes files and folders that were not used since a time. */
export class Trash {
  readonly removed = new Set<string>();
  readonly #counted = new Set<string>();
  readonly #trash: string;
  readonly #limitMs: number;
  readonly #dryRun: boolean;

  constructor(trash: string, limitMs: number, dryRun: boolean) {
    this.#trash = trash;
    this.#limitMs = limitMs;
    this.#dryRun = dryRun;
  }

  /** Removes all that may be removed; the age of `runs` was checked already. */
  async removeAll(paths: readonly string[], kind: 'runs' | 'files'): Promise<Removed> {
    let [count, sizeBytes] = [0, 0];
    for (const path of paths) {
      const found = await stat(path).catch(() => null);
      if (found === null || (kind === 'files' && lastUseMs(found) >= this.#limitMs)) continue;
      const bytes = await sizeOf(path, this.#counted);
      if (!this.#dryRun && !(await this.#remove(path, kind))) continue;
      this.removed.add(path);
      count += 1;
      sizeBytes += bytes;
    }
    return { count, sizeBytes };
  }

  /** Moved aside first and looked at again: a worker that found it meanwhile has marked it as used, and gets it back. */
  async #remove(path: string, kind: 'runs' | 'files'): Promise<boolean> {
    await makeFolder(this.#trash);
    const aside = join(this.#trash, ownedName(''));
    try {
      await rename(path, aside);
    } catch (error) {
      // Another one that cleans has taken it: workers that start together do.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    const found = await stat(aside);
    if (kind === 'files' && lastUseMs(found) >= this.#limitMs) {
      await rename(aside, path);
      return false;
    }
    await rm(aside, { recursive: true, force: true });
    return true;
  }
}

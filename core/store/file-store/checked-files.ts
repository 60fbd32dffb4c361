import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { sha256OfFile } from '../../../plugins/sdk/publish.ts';
import { markUsed } from './last-use.ts';

/** Files whose bytes this process has compared with their digest, with the state in which they were. */
export class CheckedFiles {
  readonly #states = new Map<string, string>();

  knows(path: string): boolean {
    return this.#states.has(path);
  }

  /** Compares bytes and digest, once per process and state of the file. */
  async isIntact(path: string, sha256: string): Promise<boolean> {
    const state = stateOf(await stat(path), sha256);
    if (this.#states.get(path) === state) return true;
    if ((await sha256OfFile(path)) !== sha256) return false;
    this.#states.set(path, state);
    return true;
  }

  /** Marks a file that was found intact as in use, which decides what may be removed one day. False when it is gone. */
  async use(path: string, sha256: string): Promise<boolean> {
    if (!(await markUsed(path))) return false;
    const found = await stat(path).catch(() => null);
    if (found !== null) this.#states.set(path, stateOf(found, sha256));
    return found !== null;
  }
}

/** What changes when the bytes of a file are changed by anything that does not hide it. */
function stateOf({ ino, size, mtimeMs }: Stats, sha256: string): string {
  return `${sha256} ${ino} ${size} ${mtimeMs}`;
}

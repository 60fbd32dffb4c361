import { readFully } from './buckets.ts';
import type { SetIndex } from './jobs.ts';

/** Reads shingle sets from their file and keeps the latest ones, up to a number of bytes. */
export class SetFile {
  readonly #file: number;
  readonly #index: SetIndex;
  readonly #cacheBytes: number;
  readonly #cache = new Map<number, Uint32Array>();
  #cachedBytes = 0;

  constructor(file: number, index: SetIndex, cacheBytes: number) {
    this.#file = file;
    this.#index = index;
    this.#cacheBytes = cacheBytes;
  }

  /** Members of a text's set. */
  size(text: number): number {
    return this.#index.sizes[text] ?? 0;
  }

  /** A text's set, `lo, hi` of each member, sorted. */
  get(text: number): Uint32Array {
    const known = this.#cache.get(text);
    if (known !== undefined) return known;
    const set = new Uint32Array(2 * this.size(text));
    readFully(this.#file, new Uint8Array(set.buffer), this.#index.offsetsBytes[text] ?? 0);
    this.#cache.set(text, set);
    this.#cachedBytes += set.byteLength;
    for (const [oldest, { byteLength }] of this.#cache) {
      if (this.#cachedBytes <= this.#cacheBytes || oldest === text) break;
      this.#cache.delete(oldest);
      this.#cachedBytes -= byteLength;
    }
    return set;
  }
}

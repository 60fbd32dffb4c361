import { readSync } from 'node:fs';
import type { KeyBlock } from './jobs.ts';

const NONE = -1;

/**
 * The buckets of one band at a time: texts with the same 64-bit key. About 32 bytes a text, kept for all bands.
 */
export class Buckets {
  /** `lo, hi` of each text's key in the current band. */
  readonly #keys: Uint32Array;
  /** Newest text of each slot, and for each text the one before it in its bucket. */
  readonly #heads: Int32Array;
  readonly #before: Int32Array;
  /** Slots whose texts are not all of one cluster. */
  readonly #mixed: Uint8Array;
  readonly #texts: number;

  constructor(texts: number) {
    let slots = 1;
    while (slots < 2 * texts) slots *= 2;
    this.#texts = texts;
    this.#keys = new Uint32Array(2 * texts);
    this.#heads = new Int32Array(slots);
    this.#before = new Int32Array(texts);
    this.#mixed = new Uint8Array(slots);
  }

  /** Reads the keys of a band. */
  load(file: number, blocks: readonly KeyBlock[], band: number): void {
    this.#heads.fill(NONE);
    this.#mixed.fill(0);
    for (const { texts, offsetBytes } of blocks) {
      const keys = new Uint32Array(2 * texts.length);
      const bytes = new Uint8Array(keys.buffer);
      readFully(file, bytes, offsetBytes + band * bytes.length);
      for (let at = 0; at < texts.length; at += 1) {
        const text = texts[at] ?? 0;
        this.#keys[2 * text] = keys[2 * at] ?? 0;
        this.#keys[2 * text + 1] = keys[2 * at + 1] ?? 0;
      }
    }
  }

  /** Calls `mark` with both texts whenever a text meets an earlier one in its bucket. */
  mark(mark: (text: number, other: number) => void): void {
    for (let text = 0; text < this.#texts; text += 1) {
      const slot = this.#slot(text);
      const head = this.#heads[slot] ?? NONE;
      if (head === NONE) this.#heads[slot] = text;
      else mark(text, head);
    }
  }

  /**
   * Lets each text meet the earlier ones of its bucket, newest first. `alike` says whether the two are now in one
   * cluster. In a bucket of one cluster the first success is enough: the others then follow.
   */
  link(alike: (text: number, other: number) => boolean): void {
    for (let text = 0; text < this.#texts; text += 1) {
      const slot = this.#slot(text);
      const head = this.#heads[slot] ?? NONE;
      this.#heads[slot] = text;
      this.#before[text] = head;
      if (head !== NONE) this.#meet(text, slot, head, alike);
    }
  }

  #meet(text: number, slot: number, head: number, alike: (text: number, other: number) => boolean): void {
    const mixed = this.#mixed[slot] === 1;
    for (let other = head; other !== NONE; other = this.#before[other] ?? NONE) {
      if (alike(text, other) && !mixed) return;
    }
    this.#mixed[slot] = 1;
  }

  #slot(text: number): number {
    const keys = this.#keys;
    const [lo, hi] = [keys[2 * text], keys[2 * text + 1]];
    const mask = this.#heads.length - 1;
    let slot = (lo ?? 0) & mask;
    for (;;) {
      const head = this.#heads[slot] ?? NONE;
      if (head === NONE || (keys[2 * head] === lo && keys[2 * head + 1] === hi)) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

/** Fills `bytes` from a position of a file. Throws when the file ends before. */
export function readFully(file: number, bytes: Uint8Array, positionBytes: number): void {
  let done = 0;
  while (done < bytes.length) {
    const read = readSync(file, bytes, done, bytes.length - done, positionBytes + done);
    if (read === 0) throw new Error('a scratch file is shorter than what was written');
    done += read;
  }
}

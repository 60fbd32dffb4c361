import { mix, randomWords, step0, step1 } from './hash.ts';

/** How texts are cut into overlapping shingles: `size` words, or `size` UTF-16 units. */
export interface ShingleShape {
  readonly unit: 'word' | 'character';
  readonly size: number;
  readonly seed: number;
}

const SHINGLE_PURPOSE = 1;

/**
 * Hashes the shingles of rows, one row at a time into the same buffers. A row is a list of texts, one for each compared
 * column; equal pieces of different columns are different shingles. A text shorter than a shingle is one shingle.
 */
export class Shingler {
  /** Lanes of the hashes of the current row; `count` of them are valid, repeats included. */
  lo = new Int32Array(1024);
  hi = new Int32Array(1024);
  count = 0;
  readonly #shape: ShingleShape;
  readonly #seeds: Uint32Array;
  /** Hash lanes of the words of a text. */
  #word0 = new Int32Array(256);
  #word1 = new Int32Array(256);

  constructor(shape: ShingleShape) {
    this.#shape = shape;
    // Two seeds for each column; more than two columns are never compared.
    this.#seeds = randomWords(shape.seed, SHINGLE_PURPOSE, 4);
  }

  load(texts: readonly string[]): void {
    this.count = 0;
    for (const [column, text] of texts.entries()) {
      const [seed0, seed1] = [this.#seeds[2 * column] ?? 0, this.#seeds[2 * column + 1] ?? 0];
      if (text === '') continue;
      if (this.#shape.unit === 'word') this.#hashWordShingles(text, seed0, seed1);
      else this.#hashCharacterShingles(text, seed0, seed1);
    }
  }

  /** The distinct hashes as pairs `lo, hi`, sorted as unsigned 64-bit numbers (lanes are in little-endian order). */
  set(): Uint32Array {
    const lanes = new Uint32Array(2 * this.count);
    for (let at = 0; at < this.count; at += 1) {
      lanes[2 * at] = this.lo[at] ?? 0;
      lanes[2 * at + 1] = this.hi[at] ?? 0;
    }
    new BigUint64Array(lanes.buffer).sort();
    let kept = 0;
    for (let at = 0; at < lanes.length; at += 2) {
      if (at > 0 && lanes[at] === lanes[at - 2] && lanes[at + 1] === lanes[at - 1]) continue;
      lanes[kept] = lanes[at] ?? 0;
      lanes[kept + 1] = lanes[at + 1] ?? 0;
      kept += 2;
    }
    return lanes.slice(0, kept);
  }

  #add(lane0: number, lane1: number): void {
    if (this.count === this.lo.length) {
      this.lo = grown(this.lo);
      this.hi = grown(this.hi);
    }
    this.lo[this.count] = mix(lane0);
    this.hi[this.count] = mix(lane1);
    this.count += 1;
  }

  #hashCharacterShingles(text: string, seed0: number, seed1: number): void {
    const size = Math.min(this.#shape.size, text.length);
    for (let start = 0; start + size <= text.length; start += 1) {
      let [lane0, lane1] = [seed0, seed1];
      for (let at = start; at < start + size; at += 1) {
        const unit = text.charCodeAt(at);
        lane0 = step0(lane0, unit);
        lane1 = step1(lane1, unit);
      }
      this.#add(lane0, lane1);
    }
  }

  /** Words are separated by single blanks. */
  #hashWordShingles(text: string, seed0: number, seed1: number): void {
    const words = this.#hashWords(text);
    const size = Math.min(this.#shape.size, words);
    for (let start = 0; start + size <= words; start += 1) {
      let [lane0, lane1] = [seed0, seed1];
      for (let at = start; at < start + size; at += 1) {
        lane0 = step0(lane0, this.#word0[at] ?? 0);
        lane1 = step1(lane1, this.#word1[at] ?? 0);
      }
      this.#add(lane0, lane1);
    }
  }

  #hashWords(text: string): number {
    let words = 0;
    let [lane0, lane1] = [0, 0];
    for (let at = 0; at <= text.length; at += 1) {
      const unit = at < text.length ? text.charCodeAt(at) : 32;
      if (unit !== 32) {
        lane0 = step0(lane0, unit);
        lane1 = step1(lane1, unit);
        continue;
      }
      if (words === this.#word0.length) {
        this.#word0 = grown(this.#word0);
        this.#word1 = grown(this.#word1);
      }
      this.#word0[words] = mix(lane0);
      this.#word1[words] = mix(lane1);
      words += 1;
      [lane0, lane1] = [0, 0];
    }
    return words;
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}

/** Share of common members of two sorted sets of hash pairs, 0 to 1; two empty sets are equal. */
export function jaccard(a: Uint32Array, b: Uint32Array): number {
  let [i, j, common] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const [highA = 0, highB = 0, lowA = 0, lowB = 0] = [a[i + 1], b[j + 1], a[i], b[j]];
    if (highA === highB && lowA === lowB) {
      common += 1;
      i += 2;
      j += 2;
    } else if (highA < highB || (highA === highB && lowA < lowB)) i += 2;
    else j += 2;
  }
  const union = (a.length + b.length) / 2 - common;
  return union === 0 ? 1 : common / union;
}

import type { BandPlan } from './minhash.ts';
import type { ShingleShape } from './shingles.ts';

/** Settings of a hashing thread. */
export interface HashSettings {
  readonly shape: ShingleShape;
  readonly plan: BandPlan;
}

/** Texts to hash: `texts[i]` is the number of a distinct text, `columns[i]` its content by compared column. */
export interface HashJob {
  readonly op: 'sign' | 'shingle';
  readonly texts: Int32Array;
  readonly columns: readonly (readonly string[])[];
}

/**
 * `sign`: `data` holds for each band the keys of all texts, `lo, hi`. `shingle`: `data` holds the shingle sets one after
 * another and `sizes` the members of each.
 */
export interface HashResult {
  readonly texts: Int32Array;
  readonly data: Uint32Array<ArrayBuffer>;
  readonly sizes: Int32Array;
}

/** A block of the file of band keys, as written for one job. */
export interface KeyBlock {
  readonly texts: Int32Array;
  readonly offsetBytes: number;
}

/** Places of the candidates' shingle sets in their file; offset −1: the text has none there. */
export interface SetIndex {
  readonly offsetsBytes: Float64Array;
  /** Members, not bytes. */
  readonly sizes: Int32Array;
}

export interface LinkSettings {
  readonly texts: number;
  readonly threshold: number;
  readonly keysPath: string;
  readonly blocks: readonly KeyBlock[];
  readonly setsPath: string;
  readonly cacheBytes: number;
}

export type LinkJob =
  /** Marks the texts that share a bucket of a band with another one. */
  | { readonly op: 'mark'; readonly band: number }
  | { readonly op: 'marked' }
  | { readonly op: 'sets'; readonly index: SetIndex }
  /** Compares the texts that share a bucket of a band and joins those that are alike. */
  | { readonly op: 'link'; readonly band: number }
  | { readonly op: 'linked' }
  /** Jaccard of pairs `a, b` of texts. */
  | { readonly op: 'score'; readonly pairs: Int32Array };

export interface Linked {
  /** For each text the smallest number of its cluster. */
  readonly roots: Int32Array;
  readonly candidates: number;
  readonly verified: number;
}

export type LinkResult = {
  readonly marked?: Int32Array;
  readonly linked?: Linked;
  readonly scores?: Float64Array;
};

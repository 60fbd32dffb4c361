/** Seeded source of choices: sfc32, the same sequence on every machine. */
export interface Random {
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** One item of a non-empty list, uniformly. Throws RangeError on an empty list. */
  pick<T>(items: readonly T[]): T;
  /** Index drawn in proportion to non-negative weights. */
  weighted(weights: readonly number[]): number;
  /** New array in random order (Fisher-Yates). */
  shuffled<T>(items: readonly T[]): T[];
}

/** Makes a Random from a seed (any 32-bit integer); equal seeds give equal sequences. */
export function createRandom(seed: number): Random {
  const next = sfc32(seed);
  const unit = (): number => next() / 0x1_0000_0000;
  const below = (bound: number): number => Math.floor(unit() * bound);
  return {
    below,
    chance: (probability) => unit() < probability,
    pick: (items) => itemAt(items, below(items.length)),
    weighted: (weights) => weightedIndex(weights, unit()),
    shuffled: (items) => shuffle(items, below),
  };
}

/** The item at an index that must exist. Throws RangeError when it does not. */
export function itemAt<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`no item ${index} in a list of ${items.length}`);
  return item;
}

function sfc32(seed: number): () => number {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  let d = seed | 0;
  const step = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  // The first values still show the seed's bits; sfc32's author discards them too.
  for (let i = 0; i < 16; i += 1) step();
  return step;
}

function weightedIndex(weights: readonly number[], unit: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let left = unit * total;
  for (const [index, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return index;
  }
  return weights.length - 1;
}

function shuffle<T>(items: readonly T[], below: (bound: number) => number): T[] {
  const out = [...items];
  for (let last = out.length - 1; last > 0; last -= 1) {
    const other = below(last + 1);
    const kept = itemAt(out, last);
    out[last] = itemAt(out, other);
    out[other] = kept;
  }
  return out;
}

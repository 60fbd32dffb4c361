import { mix, randomWords, step0, step1 } from './hash.ts';
import type { Shingler } from './shingles.ts';

/** How a signature is cut: rows that agree in all values of any band are compared. */
export interface BandPlan {
  readonly bands: number;
  readonly valuesPerBand: number;
}

/** Most that may be missed of the pairs exactly at the threshold. Pairs above it are missed far less often. */
const MISSED_SHARE = 0.005;
const [MULTIPLIER_PURPOSE, BAND_PURPOSE] = [2, 3];

/** The longest bands (fewest needless comparisons) that still find pairs at the threshold. */
export function bandPlan(threshold: number, permutations: number): BandPlan {
  let plan = { bands: permutations, valuesPerBand: 1 };
  for (let values = 2; values <= permutations; values += 1) {
    const bands = Math.floor(permutations / values);
    if ((1 - threshold ** values) ** bands > MISSED_SHARE) break;
    plan = { bands, valuesPerBand: values };
  }
  return plan;
}

/** Computes the band keys of rows. */
export class Signer {
  readonly plan: BandPlan;
  readonly #factors: Uint32Array;
  readonly #seed: number;

  constructor(plan: BandPlan, seed: number) {
    this.plan = plan;
    this.#seed = seed;
    const count = 2 * plan.bands * plan.valuesPerBand;
    // Odd factors, so that each is a permutation of its lane.
    this.#factors = randomWords(seed, MULTIPLIER_PURPOSE, count).map((word) => word | 1);
  }

  /** Writes the 64-bit key of each band, `lo, hi`, to `keys[at + band * stride]`. */
  sign(shingles: Shingler, keys: Uint32Array, at: number, stride: number): void {
    const { bands, valuesPerBand } = this.plan;
    for (let band = 0; band < bands; band += 1) {
      let [lane0, lane1] = [mix(this.#seed ^ BAND_PURPOSE), mix(this.#seed + BAND_PURPOSE)];
      for (let value = 0; value < valuesPerBand; value += 1) {
        const lowest = this.#lowest(shingles, band * valuesPerBand + value);
        lane0 = step0(lane0, lowest);
        lane1 = step1(lane1, lowest);
      }
      keys[at + band * stride] = mix(lane0);
      keys[at + band * stride + 1] = mix(lane1);
    }
  }

  #lowest({ lo, hi, count }: Shingler, index: number): number {
    const [a = 1, b = 1] = [this.#factors[2 * index], this.#factors[2 * index + 1]];
    let lowest = 0xffffffff;
    for (let at = 0; at < count; at += 1) {
      const value = (Math.imul(lo[at] as number, a) + Math.imul(hi[at] as number, b)) >>> 0;
      if (value < lowest) lowest = value;
    }
    return lowest;
  }
}

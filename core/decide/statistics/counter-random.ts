const MULTIPLIER = 0xd256d193;
const KEY_STEP = 0x9e3779b9;
const ROUNDS = 10;

/** Upper 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const cross = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/**
 * Philox 2x32 with 10 rounds: 64 random bits as a pure function of a 32-bit key and a 64-bit counter, so that draw `i` of
 * stream `j` is the same whatever was drawn before and on every machine. Writes two unsigned 32-bit numbers.
 */
export function philox2x32(key: number, counter0: number, counter1: number, out: Uint32Array): void {
  let [left, right, roundKey] = [counter0 >>> 0, counter1 >>> 0, key >>> 0];
  for (let round = 0; round < ROUNDS; round++) {
    const high = multiplyHigh(MULTIPLIER, left);
    const low = Math.imul(MULTIPLIER, left) >>> 0;
    left = (high ^ roundKey ^ right) >>> 0;
    right = low;
    roundKey = (roundKey + KEY_STEP) >>> 0;
  }
  out[0] = left;
  out[1] = right;
}

const pair = new Uint32Array(2);

/**
 * Fills `out` with indexes drawn with replacement from `0 … size - 1`: the draws of stream `stream` under `seed`.
 * The bias of mapping 32 bits to an index is below size / 2^32.
 */
export function drawIndexes(out: Int32Array, size: number, seed: number, stream: number): void {
  for (let at = 0; at < out.length; at += 2) {
    philox2x32(seed, at >>> 1, stream, pair);
    out[at] = Math.floor(((pair[0] ?? 0) * size) / 0x100000000);
    if (at + 1 < out.length) out[at + 1] = Math.floor(((pair[1] ?? 0) * size) / 0x100000000);
  }
}

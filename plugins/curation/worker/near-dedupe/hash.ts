/**
 * Seeded hashing in two 32-bit lanes, 64 bits together. Only 32-bit integer arithmetic is used, which every machine and
 * every version of the language computes alike; results may therefore be part of cache keys and clusters.
 */

const [M0, M1] = [0x9e3779b1, 0x85ebca77];

/** Spreads every bit of a 32-bit value over all of them. */
export function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** One step of the first lane. */
export function step0(state: number, value: number): number {
  return Math.imul(((state << 13) | (state >>> 19)) ^ value, M0);
}

/** One step of the second lane; adds where the first one xors, so that the lanes do not collide together. */
export function step1(state: number, value: number): number {
  return Math.imul((((state << 17) | (state >>> 15)) + value) | 0, M1);
}

/** `count` pseudo-random 32-bit values of a seed and a purpose. */
export function randomWords(seed: number, purpose: number, count: number): Uint32Array {
  const start = mix(seed ^ mix(purpose));
  return Uint32Array.from({ length: count }, (_, index) => mix(start + Math.imul(index + 1, M0)));
}

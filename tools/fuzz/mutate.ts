/** Damage, drawn from a seed: the same seed and the same bytes give the same damaged bytes. */
export class Rng {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Mulberry32: 32 bits, good enough to draw damage. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number below `end`; 0 for `end` 0. */
  below(end: number): number {
    return end === 0 ? 0 : this.next() % end;
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }
}

/** A seed from words: FNV-1a. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

const WORDS = [0n, 1n, 0x7fn, 0xffn, 0x7fffffffn, 0xffffffffn, 0x7fffffffffffffffn, 0xffffffffffffffffn];
/** NaN and infinity as f32; as pairs of f16. */
const PAYLOADS = [0x7fc00000, 0x7f800000, 0xff800000, 0x7e007e00];
/** What takes the place of a number, word or text. */
const VALUES = [
  '-1',
  '0',
  '0.5',
  '1e999',
  '9007199254740993',
  '18446744073709551615',
  'null',
  'true',
  '[]',
  '{}',
  '""',
  '"../../etc/passwd"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '"${inputs.constructor}"',
  '"${nodes.a.output}"',
  '"\\ud800"',
  '"\\u0000"',
  '"',
  '""""',
  '\r\n',
  '\r',
  '\ufeff',
];
const DEPTHS = [3, 65, 2000, 20_000];

type Damage = (rng: Rng, bytes: Buffer, other: Buffer) => Buffer;

const flip: Damage = (rng, bytes) => {
  for (let left = 1 + rng.below(8); left > 0 && bytes.length > 0; left -= 1) {
    const at = rng.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << rng.below(8));
  }
  return bytes;
};

const truncate: Damage = (rng, bytes) => bytes.subarray(0, rng.below(bytes.length));

/** Most formats keep what matters at the end or the beginning. */
function place(rng: Rng, length: number): number {
  const near = rng.below(Math.min(length, 512));
  const kind = rng.below(3);
  return kind === 0 ? near : kind === 1 ? length - 1 - near : rng.below(length);
}

const lie: Damage = (rng, bytes) => {
  const at = Math.max(0, place(rng, bytes.length));
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(rng.pick(WORDS));
  word.copy(bytes, at, 0, rng.pick([4, 8]));
  return bytes;
};

const payload: Damage = (rng, bytes) => {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(rng.pick(PAYLOADS));
  word.copy(bytes, rng.below(bytes.length) & ~3);
  return bytes;
};

const offByOne: Damage = (rng, bytes) => {
  const at = Math.max(0, place(rng, bytes.length));
  if (at < bytes.length) bytes[at] = ((bytes[at] ?? 0) + rng.pick([1, 255])) & 255;
  return bytes;
};

function range(rng: Rng, length: number): [number, number] {
  const start = rng.below(length);
  return [start, Math.min(length, start + rng.below(rng.below(4) === 0 ? length : 64))];
}

const cut: Damage = (rng, bytes) => {
  const [start, end] = range(rng, bytes.length);
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
};

const repeat: Damage = (rng, bytes) => {
  const [start, end] = range(rng, bytes.length);
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
};

const splice: Damage = (rng, bytes, other) =>
  Buffer.concat([bytes.subarray(0, rng.below(bytes.length)), other.subarray(rng.below(other.length))]);

/** Replaces one number, word or quoted text. */
const replaceValue: Damage = (rng, bytes) => {
  const text = bytes.toString('latin1');
  const found = [...text.matchAll(/"[^"\n]*"|[A-Za-z0-9_.]+/g)];
  const one = found[rng.below(found.length)];
  if (one === undefined) return bytes;
  const value = Buffer.from(rng.pick(VALUES));
  return Buffer.concat([bytes.subarray(0, one.index), value, bytes.subarray(one.index + one[0].length)]);
};

const nest: Damage = (rng, bytes) => {
  const [open, close] = rng.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const depth = rng.pick(DEPTHS);
  const colon = bytes.indexOf(':', rng.below(bytes.length)) + 1;
  const end = bytes
    .subarray(colon)
    .toString('latin1')
    .search(/[,}\n]/);
  const rest = bytes.subarray(end < 0 ? colon : colon + end);
  const text = `${open.repeat(depth)}0${close.repeat(depth)}`;
  return Buffer.concat([bytes.subarray(0, colon), Buffer.from(text), rest]);
};

const BINARY: readonly Damage[] = [flip, truncate, lie, lie, payload, offByOne, cut, repeat, splice];
const TEXTUAL: readonly Damage[] = [
  flip,
  truncate,
  cut,
  repeat,
  splice,
  nest,
  replaceValue,
  replaceValue,
  replaceValue,
];

/** Damages a copy of `bytes` once to four times; `other` is a second seed to splice with. */
export function mutate(rng: Rng, bytes: Buffer, other: Buffer, textual: boolean): Buffer {
  let damaged: Buffer = Buffer.from(bytes);
  for (let left = 1 + rng.below(4); left > 0; left -= 1) {
    damaged = Buffer.from(rng.pick(textual ? TEXTUAL : BINARY)(rng, damaged, other));
  }
  return damaged;
}

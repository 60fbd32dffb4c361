/**
 * Rows of the two small tasks on which our engine and transformers are compared: sentiment of review sentences (from a
 * file that is not ours) and questions about invented products (made here, from a seed).
 */
import { readFile } from 'node:fs/promises';

/** A prompt whose possible ends are compared by log-probability. */
export interface ScoreRow {
  readonly id: string;
  readonly prompt: string;
  readonly continuations: readonly string[];
  /** Index of the right end. */
  readonly wanted: number;
}

/** A question; right when `wanted` is contained in the reply. */
export interface QuestionRow {
  readonly id: string;
  readonly messages: readonly { readonly role: 'user'; readonly content: string }[];
  readonly wanted: string;
}

/** mulberry32: a small generator with 32 bits of state, the same numbers everywhere. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** The values in a seeded order. */
export function shuffled<T>(values: readonly T[], seed: number): T[] {
  const [next, out] = [randomFrom(seed), [...values]];
  for (let at = out.length - 1; at > 0; at -= 1) {
    const other = next(at + 1);
    [out[at], out[other]] = [out[other] as T, out[at] as T];
  }
  return out;
}

/** Rated at least this far from neutral. */
const CLEAR_RATING = 0.8;
const LABELS = [' positive', ' negative'] as const;

/**
 * `count` rows of `id<TAB>rating<TAB>sentence`, zero-shot or after `shots` other labelled sentences.
 * Throws when the file has too few clear ratings.
 */
export async function sentimentRows(
  file: string,
  count: number,
  shots: number,
  seed: number,
): Promise<ScoreRow[]> {
  const sentences = (await readFile(file, 'utf8'))
    .split(/\r?\n/)
    .map((line) => line.split('\t'))
    .filter(([, rating]) => Math.abs(Number(rating)) >= CLEAR_RATING)
    .map(([id = '', rating = '', text = '']) => ({
      id,
      wanted: Number(rating) > 0 ? 0 : 1,
      text: text.trim(),
    }));
  if (sentences.length < count + 2 * shots) {
    throw new Error(`${file}: ${sentences.length} clearly rated sentences, ${count + 2 * shots} are needed`);
  }
  const order = shuffled(sentences, seed);
  const asked = order.slice(0, count);
  const rest = order.slice(count);
  const examples = [0, 1].flatMap((label) => rest.filter((s) => s.wanted === label).slice(0, shots / 2));
  const shown = shuffled(examples, seed).map((s) => `${stem(s.text)}${LABELS[s.wanted] ?? ''}\n\n`);
  return asked.map(({ id, text, wanted }) => ({
    id,
    prompt: `${shown.join('')}${stem(text)}`,
    continuations: LABELS,
    wanted,
  }));
}

function stem(text: string): string {
  return `Review: ${text}\nSentiment:`;
}

const SYLLABLES = ['bro', 'lin', 'tak', 'vez', 'mor', 'dai', 'kel', 'sun', 'pra', 'zil', 'hon', 'wex'];
const THINGS = [
  'kettle',
  'lamp',
  'backpack',
  'heater',
  'blender',
  'tent',
  'drill',
  'speaker',
  'scale',
  'camera',
];
const FACTS = [
  ['How much does the NAME cost?', 'It costs VALUE euros.', 20, 480],
  ['How heavy is the NAME in grams?', 'It weighs VALUE grams.', 150, 4000],
  ['How many months of guarantee does the NAME have?', 'Its guarantee lasts VALUE months.', 6, 90],
  ['How many minutes does the NAME need to charge?', 'It charges in VALUE minutes.', 15, 300],
] as const;

/** An invented product: its passage and one question about it. */
interface Product {
  readonly passage: string;
  readonly question: string;
  readonly wanted: string;
}

/** Products with made-up names and numbers: nothing that a model could know. */
export function inventedProducts(count: number, seed: number): Product[] {
  const next = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[next(from.length)] as T;
  return Array.from({ length: count }, (_, index) => {
    const word = `${pick(SYLLABLES)}${pick(SYLLABLES)}`;
    const name = `${word.charAt(0).toUpperCase()}${word.slice(1)} ${pick(THINGS)}`;
    const values = FACTS.map(([, , low, high]) => String(low + next(high - low)));
    const sentences = FACTS.map(([, sentence], at) => sentence.replace('VALUE', values[at] ?? ''));
    const asked = index % FACTS.length;
    return {
      passage: `The ${name} is new this year. ${sentences.join(' ')}`,
      question: (FACTS[asked]?.[0] ?? '').replace('NAME', name),
      wanted: values[asked] ?? '',
    };
  });
}

/** How much context a question gets. */
export type Context = 'none' | 'right passage' | 'three passages';

/** Questions about `count` invented products, in three amounts of context. */
export function questionRows(count: number, context: Context, seed: number): QuestionRow[] {
  const products = inventedProducts(count, seed);
  return products.map((product, index) => {
    const others = [1, 2].map((step) => products[(index + step) % count]?.passage ?? '');
    const passages = {
      none: [],
      'right passage': [product.passage],
      'three passages': shuffled([product.passage, ...others], seed + index),
    }[context];
    const content = [...passages, `${product.question} Answer briefly.`].join('\n\n');
    return { id: `q${index}`, messages: [{ role: 'user', content }], wanted: product.wanted };
  });
}

/** Rows with planted near duplicates, and the truth about them by comparing every pair without any hashing. */

export interface PlantedRow {
  readonly input: string;
  readonly output: string;
  /** Index of the row it was edited from; null for originals. */
  readonly from: number | null;
}

/** Numbers in [0, 1) of a seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The items in another order, which the seed decides. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = randomOf(seed);
  const copy = [...items];
  for (let at = copy.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [copy[at], copy[other]] = [copy[other] as T, copy[at] as T];
  }
  return copy;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

function makeWords(random: () => number, count: number): string[] {
  return Array.from({ length: count }, () =>
    Array.from({ length: 2 + Math.floor(random() * 9) }, () => LETTERS[Math.floor(random() * 26)]).join(''),
  );
}

/**
 * `count` rows, about half of them edits of others: 1 to 20 % of the characters or of the words, replaced, deleted,
 * inserted or swapped. Short words come more often than long ones, as in real text.
 */
export function plantedRows(count: number, seed: number): PlantedRow[] {
  const random = randomOf(seed);
  const words = makeWords(random, 3000);
  const word = (): string => words[Math.floor(random() ** 2 * words.length)] ?? '';
  const text = (least: number, most: number): string =>
    Array.from({ length: least + Math.floor(random() * (most - least)) }, word).join(' ');
  const rows: PlantedRow[] = [];
  while (rows.length < count) {
    const from = Math.floor(random() * rows.length);
    const original = rows[from];
    if (original === undefined || original.from !== null || random() < 0.5) {
      rows.push({ input: text(4, 16), output: text(10, 70), from: null });
      continue;
    }
    const rate = 0.01 + random() ** 2 * 0.19;
    const edit = random() < 0.5 ? editCharacters : editWords;
    const change = (part: string): string => edit(part, rate, random, word);
    rows.push({ input: change(original.input), output: change(original.output), from });
  }
  return rows;
}

function editCharacters(text: string, rate: number, random: () => number): string {
  return edited([...text], rate, random, () => LETTERS[Math.floor(random() * 26)] ?? '').join('');
}

function editWords(text: string, rate: number, random: () => number, word: () => string): string {
  return edited(text.split(' '), rate, random, word).join(' ');
}

/** At least one edit for every hundred parts, so that the smallest rates do something. */
function edited(parts: string[], rate: number, random: () => number, fresh: () => string): string[] {
  const result = [...parts];
  const edits = Math.max(1, Math.round(parts.length * rate));
  for (let edit = 0; edit < edits && result.length > 2; edit += 1) {
    const at = Math.floor(random() * (result.length - 1));
    const kind = random();
    if (kind < 0.4) result[at] = fresh();
    else if (kind < 0.6) result.splice(at, 1);
    else if (kind < 0.8) result.splice(at, 0, fresh());
    else [result[at], result[at + 1]] = [result[at + 1] ?? '', result[at] ?? ''];
  }
  return result;
}

export interface Shape {
  readonly unit: 'word' | 'character';
  readonly size: number;
}

/** The shingles of a row as texts, by the rule of the step: both columns, each with its own shingles. */
export function shinglesOf(row: Pick<PlantedRow, 'input' | 'output'>, { unit, size }: Shape): Set<string> {
  const shingles = new Set<string>();
  for (const [column, text] of [row.input, row.output].entries()) {
    const plain = text.toLowerCase().replaceAll(/\s+/g, ' ').trim();
    const parts =
      unit === 'word' ? plain.split(/[^\p{L}\p{M}\p{N}]+/u).filter((one) => one !== '') : plain.split('');
    const length = Math.min(size, parts.length);
    for (let start = 0; length > 0 && start + length <= parts.length; start += 1) {
      shingles.add(`${column}:${parts.slice(start, start + length).join(unit === 'word' ? ' ' : '')}`);
    }
  }
  return shingles;
}

/** All pairs of rows with a Jaccard similarity ≥ `threshold`, by looking at each pair. */
export function truePairs(rows: readonly PlantedRow[], shape: Shape, threshold: number): [number, number][] {
  const numbers = new Map<string, number>();
  const sets = rows.map((row) =>
    Int32Array.from(shinglesOf(row, shape), (shingle) => {
      const known = numbers.get(shingle) ?? numbers.size;
      numbers.set(shingle, known);
      return known;
    }).sort(),
  );
  const pairs: [number, number][] = [];
  for (const [i, a] of sets.entries()) {
    for (let j = i + 1; j < sets.length; j += 1) {
      if (jaccardOf(a, sets[j] ?? new Int32Array()) >= threshold) pairs.push([i, j]);
    }
  }
  return pairs;
}

function jaccardOf(a: Int32Array, b: Int32Array): number {
  let [i, j, common] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const [left = 0, right = 0] = [a[i], b[j]];
    if (left === right) common += 1;
    if (left <= right) i += 1;
    if (right <= left) j += 1;
  }
  return common / (a.length + b.length - common);
}

/** For each row the smallest row of its connected component. */
export function componentsOf(count: number, pairs: readonly (readonly [number, number])[]): number[] {
  const parents = Array.from({ length: count }, (_, index) => index);
  const root = (index: number): number => {
    const up = parents[index] ?? index;
    return up === index ? index : root(up);
  };
  for (const [a, b] of pairs) {
    const [left, right] = [root(a), root(b)];
    parents[Math.max(left, right)] = Math.min(left, right);
  }
  return parents.map((_, index) => root(index));
}

/** The rows of each cluster, from the number that each row has for its cluster. */
export function membersOf(found: readonly number[]): number[][] {
  const clusters = new Map<number, number[]>();
  for (const [index, cluster] of found.entries()) {
    clusters.set(cluster, [...(clusters.get(cluster) ?? []), index]);
  }
  return [...clusters.values()];
}

/**
 * How well found clusters agree with the truth. `recall`: share of the true pairs that are in one found cluster.
 * `precision`: share of the pairs inside found clusters that are true or joined by true pairs.
 */
export function agreement(found: readonly number[], pairs: readonly (readonly [number, number])[]) {
  const truth = componentsOf(found.length, pairs);
  const members = membersOf(found);
  let [inside, right] = [0, 0];
  for (const cluster of members) {
    for (const [at, a] of cluster.entries()) {
      for (const b of cluster.slice(at + 1)) {
        inside += 1;
        if (truth[a] === truth[b]) right += 1;
      }
    }
  }
  const together = pairs.filter(([a, b]) => found[a] === found[b]).length;
  return {
    truePairs: pairs.length,
    recall: pairs.length === 0 ? 1 : together / pairs.length,
    precision: inside === 0 ? 1 : right / inside,
  };
}

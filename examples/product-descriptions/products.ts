import { attributesOf, houseTextOf, inputOf } from './describe.ts';
import type { Product } from './describe.ts';
import { duplicateOf, withEmptyCell, withOddWhitespace, withPastedManual } from './dirt.ts';
import type { RawRow } from './dirt.ts';
import { categories } from './lexicon/categories.ts';
import type { Category } from './lexicon/categories.ts';
import { colours } from './lexicon/colours.ts';
import { features } from './lexicon/features.ts';
import type { Feature } from './lexicon/features.ts';
import { materials } from './lexicon/materials.ts';
import type { MaterialFamily } from './lexicon/materials.ts';
import { moments } from './lexicon/moments.ts';
import { createRandom } from '../lib/random.ts';
import type { Random } from '../lib/random.ts';

/** Share of the file's rows spoilt in each way; the four sets do not overlap. */
export const dirtShares = {
  duplicate: 0.05,
  emptyCell: 0.04,
  pastedManual: 0.03,
  oddWhitespace: 0.04,
} as const;

/** Columns of the file, in order. */
export const columns = ['id', 'product', 'category', 'input', 'description'] as const;

/**
 * The whole file as cells, in file order. Equal arguments give equal cells.
 * Throws RangeError unless rows is an integer of at least 25 (below that no dirt fits).
 */
export function generateProducts(options: { seed: number; rows: number }): string[][] {
  const { seed, rows } = options;
  if (!Number.isInteger(rows) || rows < 25) throw new RangeError('rows must be an integer of at least 25');
  const random = createRandom(seed);
  const duplicates = Math.round(rows * dirtShares.duplicate);
  const unique = distinctRows(rows - duplicates, random);
  const { spoilt, clean } = spoil(unique, rows, random);
  const rowsOnce = random.shuffled([...spoilt, ...clean]);
  const originals = random.shuffled(clean).slice(0, duplicates);
  return withCopies(rowsOnce, originals, random).map(toCells);
}

/** Lists each original a second time, somewhere after its first place. */
function withCopies(rows: readonly RawRow[], originals: readonly RawRow[], random: Random): RawRow[] {
  const out = [...rows];
  for (const original of originals) {
    const first = out.indexOf(original);
    out.splice(first + 1 + random.below(out.length - first), 0, duplicateOf(original, random));
  }
  return out;
}

function spoil(
  unique: readonly RawRow[],
  rows: number,
  random: Random,
): { spoilt: RawRow[]; clean: RawRow[] } {
  const empties = Math.round(rows * dirtShares.emptyCell);
  const manuals = Math.round(rows * dirtShares.pastedManual);
  const odd = Math.round(rows * dirtShares.oddWhitespace);
  const spoilt = unique.slice(0, empties + manuals + odd).map((row, index) => {
    if (index < empties) return withEmptyCell(row, random);
    return index < empties + manuals ? withPastedManual(row, random) : withOddWhitespace(row, random);
  });
  return { spoilt, clean: unique.slice(spoilt.length) };
}

function distinctRows(count: number, random: Random): RawRow[] {
  const rows = new Map<string, RawRow>();
  while (rows.size < count) {
    const product = drawProduct(random);
    const key = `${attributesOf(product)}|${product.feature.name}`;
    if (!rows.has(key)) rows.set(key, describeRow(product, rows.size, random));
  }
  return [...rows.values()];
}

function drawProduct(random: Random): Product {
  const category = random.pick(categories);
  const kind = random.pick(category.kinds);
  const family = random.pick(kind.families);
  return {
    category,
    kind,
    family,
    material: random.pick(materials[family]),
    colour: random.pick(colours),
    moment: random.pick(moments),
    feature: random.pick(features.filter((feature) => suits(feature, category, family))),
  };
}

function suits(feature: Feature, category: Category, family: MaterialFamily): boolean {
  const here = feature.categories === undefined || feature.categories.includes(category.name);
  return here && feature.families.includes(family);
}

function describeRow(product: Product, index: number, random: Random): RawRow {
  return {
    product: `SKU-${1000 + index}`,
    category: product.category.name,
    input: inputOf(product, random),
    description: houseTextOf(product, random),
  };
}

function toCells(row: RawRow, index: number): string[] {
  const id = `P${String(index + 1).padStart(4, '0')}`;
  return [id, row.product, row.category, row.input, row.description];
}

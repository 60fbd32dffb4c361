import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { toCsv } from '../../../examples/lib/csv.ts';
import { materials } from '../../../examples/product-descriptions/lexicon/materials.ts';
import { columns, generateProducts } from '../../../examples/product-descriptions/products.ts';
import { readCsv } from './read-csv.ts';

const folder = new URL('../../../examples/product-descriptions/', import.meta.url);
const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

interface VoiceRule {
  readonly name: string;
  readonly pattern: string;
  readonly flags: string;
}
const rules = JSON.parse(textOf('voice-rules.json')) as VoiceRule[];

interface Row {
  readonly product: string;
  readonly input: string;
  readonly description: string;
}
const squeeze = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
const rowsOf = (seed: number): Row[] =>
  generateProducts({ seed, rows: 720 }).map(([, product = '', , input = '', description = '']) => ({
    product,
    input: squeeze(input),
    description: squeeze(description),
  }));
const isLong = (row: Row): boolean => row.input.length > 400 || row.description.length > 400;
const isEmpty = (row: Row): boolean => row.input === '' || row.description === '';
const keyOf = (row: Row): string => `${row.input}\n${row.description}`.toLowerCase();

function usable(rows: readonly Row[]): Row[] {
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    if (!isEmpty(row) && !isLong(row) && !byKey.has(keyOf(row))) byKey.set(keyOf(row), row);
  }
  return [...byKey.values()];
}

test('the committed file is what seed 1 makes, byte for byte', () => {
  const made = toCsv(columns, generateProducts({ seed: 1, rows: 720 }));
  assert.equal(made, textOf('data/products.csv'));
});

test('the file survives a strict CSV reader', () => {
  const cells = generateProducts({ seed: 1, rows: 720 });
  assert.deepEqual(readCsv(textOf('data/products.csv')), [[...columns], ...cells]);
});

test('another seed makes another file', () => {
  assert.notDeepEqual(generateProducts({ seed: 1, rows: 60 }), generateProducts({ seed: 2, rows: 60 }));
});

test('too few rows and broken row counts are refused', () => {
  for (const rows of [0, 24, 30.5, Number.NaN]) {
    assert.throws(() => generateProducts({ seed: 1, rows }), RangeError);
  }
});

for (const seed of [1, 2, 3]) {
  test(`seed ${seed}: dirt in its shares, at least 560 usable rows`, () => {
    const rows = rowsOf(seed);
    const filled = rows.filter((row) => !isEmpty(row));
    assert.equal(rows.length, 720);
    assert.equal(rows.length - filled.length, 29);
    assert.equal(rows.filter(isLong).length, 22);
    assert.equal(filled.length - new Set(filled.map(keyOf)).size, 36);
    assert.ok(usable(rows).length >= 560);
  });

  test(`seed ${seed}: copies keep their product code and come later`, () => {
    const firstText = new Map<string, string>();
    for (const row of rowsOf(seed)) {
      const known = firstText.get(row.product);
      if (known === undefined) firstText.set(row.product, keyOf(row));
      else assert.equal(keyOf(row), known);
    }
    assert.equal(firstText.size, 684);
  });

  test(`seed ${seed}: every usable description keeps every voice rule`, () => {
    for (const row of usable(rowsOf(seed))) {
      for (const rule of rules) {
        assert.match(row.description, new RegExp(rule.pattern, rule.flags), rule.name);
      }
    }
  });
}

test('supplier texts keep hardly any voice rule that is not a ban', () => {
  const asked = rules.filter((rule) => !/British|never|no /.test(rule.name));
  for (const row of usable(rowsOf(1))) {
    const kept = asked.filter((rule) => new RegExp(rule.pattern, rule.flags).test(row.input));
    assert.ok(kept.length <= 1, row.input);
  }
});

test('the material rule knows every material of the lexicon', () => {
  const rule = rules.find((candidate) => candidate.name === 'names the material');
  const named = new Set(/\\b\(([^)]*)\)/.exec(rule?.pattern ?? '')?.[1]?.split('|'));
  const house = Object.values(materials).flatMap((family) => family.map((material) => material.house));
  assert.deepEqual([...named].sort(), [...house].sort());
});

test('a broken rule is caught: American spelling, a shout, a price', () => {
  const good = usable(rowsOf(1))[0]?.description ?? '';
  const kept = (text: string): boolean =>
    rules.every((rule) => new RegExp(rule.pattern, rule.flags).test(text));
  assert.ok(kept(good));
  for (const bad of [good.replace('. ', '! '), `${good} Now on sale.`, good.replace(' in ', ' in gray ')]) {
    assert.ok(!kept(bad), bad);
  }
});

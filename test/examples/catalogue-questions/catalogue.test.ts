import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { generateCatalogue } from '../../../examples/catalogue-questions/catalogue.ts';
import { createProjectHost } from '../../../plugins.ts';

const EXAMPLE = new URL('../../../examples/catalogue-questions/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, EXAMPLE), 'utf8');
const generate = (...args: string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('generate.ts', EXAMPLE)), ...args], {
    encoding: 'utf8',
  });

suite('example catalogue-questions', () => {
  test('the command writes the committed files', () => {
    const out = mkdtempSync(join(tmpdir(), 'escada-catalogue-'));
    assert.equal(generate('--out', out).status, 0);
    for (const name of ['catalogue.csv', 'questions.csv']) {
      assert.equal(readFileSync(join(out, name), 'utf8'), read(`data/${name}`), name);
    }
  });

  test('bad arguments end with 2 and say what was wrong', () => {
    const { status, stderr } = generate('--seed', 'one', '--out', 'x');
    assert.equal(status, 2);
    assert.match(stderr, /--seed must be a whole number/);
  });

  test('every answer is in the description of its product, which no other product shares', () => {
    const { products, questions } = generateCatalogue({ seed: 7, products: 150, asked: 90 });
    const byTitle = new Map(products.map((product) => [product.title, product]));
    assert.equal(byTitle.size, 150);
    assert.equal(questions.length, 270);
    for (const { question, answer, product } of questions) {
      assert.ok(question.includes(product), question);
      assert.ok(byTitle.get(product)?.description.includes(answer), `${answer} of ${product}`);
    }
  });

  test('a catalogue cannot be larger than its names', () => {
    assert.throws(() => generateCatalogue({ seed: 1, products: 1000, asked: 1 }), /have names/);
    assert.throws(() => generateCatalogue({ seed: 1, products: 5, asked: 6 }), /cannot be asked/);
  });

  test('the spec compiles, and retrieval is eligible', () => {
    const plan = compileSpec(JSON.parse(read('spec.json')), createProjectHost());
    assert.equal(plan.rungs.find(({ id }) => id === 'rag')?.eligible, true);
  });
});

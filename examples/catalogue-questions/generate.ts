import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { toCsv } from '../lib/csv.ts';
import { generateCatalogue } from './catalogue.ts';

const usage = 'usage: node generate.ts [--seed 1] [--products 120] [--asked 66] --out FOLDER';

/** Reads the command line and writes catalogue.csv and questions.csv. Throws with the usage line on a bad argument. */
function main(): void {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      products: { type: 'string', default: '120' },
      asked: { type: 'string', default: '66' },
      out: { type: 'string' },
    },
  });
  if (values.out === undefined) throw new Error(`--out is missing; ${usage}`);
  const { products, questions } = generateCatalogue({
    seed: integer('--seed', values.seed),
    products: integer('--products', values.products),
    asked: integer('--asked', values.asked),
  });
  mkdirSync(values.out, { recursive: true });
  writeFileSync(
    join(values.out, 'catalogue.csv'),
    toCsv(
      ['title', 'description'],
      products.map(({ title, description }) => [title, description]),
    ),
  );
  writeFileSync(
    join(values.out, 'questions.csv'),
    toCsv(
      ['question', 'answer', 'product'],
      questions.map(({ question, answer, product }) => [question, answer, product]),
    ),
  );
}

function integer(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} must be a whole number, not "${text}"; ${usage}`);
  return Number(text);
}

try {
  main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}

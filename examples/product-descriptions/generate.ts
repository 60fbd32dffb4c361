import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { toCsv } from '../lib/csv.ts';
import { columns, generateProducts } from './products.ts';

const usage = 'usage: node generate.ts [--seed 1] [--rows 720] --out FILE.csv';

/** Reads the command line and writes the file. Throws with the usage line on a bad argument. */
function main(): void {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      rows: { type: 'string', default: '720' },
      out: { type: 'string' },
    },
  });
  if (values.out === undefined) throw new Error(`--out is missing; ${usage}`);
  const seed = integer('--seed', values.seed);
  const rows = integer('--rows', values.rows);
  writeFileSync(values.out, toCsv(columns, generateProducts({ seed, rows })));
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

/** Every environment variable that the product reads is on the page about settings, and the page names no other. */
import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../whole/support/needs.ts';

const PRODUCT = [
  '*.ts',
  '{activities,cli,client,core,plugins,runtime,schemas,worker,workflows}/**/*.{ts,mjs}',
];

/** Variables that one process sets for another; nobody sets them by hand. */
const INTERNAL = new Set(['ESCADA_SETUP_SECONDS', 'ESCADA_TEMPORAL_CLI']);

test('the page about settings lists what is read, and only that', async () => {
  const read = new Set<string>();
  for await (const file of glob(PRODUCT, { cwd: ROOT })) {
    const source = await readFile(join(ROOT, file), 'utf8');
    // In code, not in comments: a name in quotes, a field of the environment, or one taken from it.
    for (const [, quoted, field, taken] of source.matchAll(
      /'(ESCADA_[A-Z_]+)'|env\.(ESCADA_[A-Z_]+)|\{ (ESCADA_[A-Z_]+): /g,
    ))
      read.add(quoted ?? field ?? taken ?? '');
  }
  for (const name of INTERNAL) assert.ok(read.delete(name), `${name} is not read any more`);
  const page = await readFile(join(ROOT, 'docs/install.md'), 'utf8');
  const table = page.slice(page.indexOf('## Settings'));
  const listed = new Set([...table.matchAll(/^\| `(ESCADA_[A-Z_]+)`/gm)].map(([, name = '']) => name));
  assert.deepEqual([...listed].sort(), [...read].filter((name) => !name.endsWith('_')).sort());
});

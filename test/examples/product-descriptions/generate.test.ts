import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../examples/product-descriptions/generate.ts', import.meta.url));
const committed = new URL('../../../examples/product-descriptions/data/products.csv', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'escada-products-'));
after(() => {
  rmSync(folder, { recursive: true });
});

function generate(...args: string[]): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
}

test('the command writes the committed file', () => {
  const out = join(folder, 'one.csv');
  assert.equal(generate('--seed', '1', '--rows', '720', '--out', out).status, 0);
  assert.equal(readFileSync(out, 'utf8'), readFileSync(committed, 'utf8'));
});

test('bad arguments end with 2 and say what was wrong', () => {
  assert.match(refused('--seed', '1'), /--out is missing/);
  assert.match(refused('--rows', 'many', '--out', join(folder, 'x.csv')), /--rows must be a whole number/);
  assert.match(refused('--rows', '3', '--out', join(folder, 'x.csv')), /at least 25/);
});

function refused(...args: string[]): string {
  const { status, stderr } = generate(...args);
  assert.equal(status, 2);
  return stderr;
}

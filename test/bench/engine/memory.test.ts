import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../../runtime/bootstrap/exec.mjs';

const BENCH = fileURLToPath(new URL('../../../bench/engine/memory.ts', import.meta.url));

test('bench:memory measures no other setting than the one that was meant', async () => {
  for (const [name, value, wanted] of [
    ['--method', 'ful', '--method: one of lora, full, not "ful"'],
    ['--format', 'nf5', '--format: one of nf4, f32, not "nf5"'],
    ['--rows', '0', '--rows: whole number from 1 on'],
  ] as const) {
    const { code, output } = await run(process.execPath, [BENCH, name, value]);
    assert.notEqual(code, 0);
    assert.ok(output.includes(wanted), output);
  }
});

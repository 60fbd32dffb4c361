import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { createProjectHost } from '../../../plugins.ts';

const folder = new URL('../../../examples/product-descriptions/', import.meta.url);

async function json(name: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(name, folder), 'utf8'));
}

test('the spec compiles, and holds the voice rules exactly as their own file does', async () => {
  const plan = compileSpec(await json('spec.json'), createProjectHost());
  assert.deepEqual(plan.spec.metrics.secondary[0]?.with['rules'], await json('voice-rules.json'));
});

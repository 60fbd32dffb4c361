import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { engineKey } from '../../../runtime/bootstrap/engine.mjs';
import { scratch } from './support.ts';

test('the engine key follows sources, compiler and flags, not prose or build products', async (t) => {
  const root = await scratch(t);
  const engine = path.join(root, 'plugins/nf4-lora/engine');
  await mkdir(path.join(engine, 'core/src'), { recursive: true });
  await mkdir(path.join(engine, 'node'), { recursive: true });
  await writeFile(path.join(root, 'Cargo.lock'), 'lock');
  await writeFile(path.join(engine, 'core/src/lib.rs'), 'fn a() {}');
  const key = (rustcVersion = 'rustc 1', env = {}): Promise<string> => engineKey({ root, rustcVersion, env });
  const before = await key();

  await writeFile(path.join(engine, 'README.md'), 'text');
  await writeFile(path.join(engine, 'node/escada-engine.node'), 'binary');
  assert.equal(await key(), before);
  assert.notEqual(await key('rustc 2'), before);
  assert.notEqual(await key('rustc 1', { RUSTFLAGS: '-g' }), before);
  await writeFile(path.join(engine, 'core/src/lib.rs'), 'fn b() {}');
  const changed = await key();
  assert.notEqual(changed, before);
  await writeFile(path.join(root, 'Cargo.lock'), 'lock 2');
  assert.notEqual(await key(), changed);
});

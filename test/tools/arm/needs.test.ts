import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EMULATOR, LINKER, TARGET, missingToCompile, missingToRun } from '../../../tools/arm/needs.ts';
import { run } from '../../../runtime/bootstrap/exec.mjs';

test('the target counts as there exactly when the compiler can use it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'escada-arm-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'empty.rs'), 'pub fn nothing() {}');
  const args = ['--crate-type', 'lib', '--emit', 'metadata', '--target', TARGET, 'empty.rs'];
  const { code } = await run('rustc', args, { cwd: folder });
  const missing = await missingToCompile(process.env);
  assert.equal(missing.length === 0, code === 0, missing.join('\n'));
  for (const sentence of missing) assert.match(sentence, /rustup target add aarch64-unknown-linux-gnu/);
});

test('linker and emulator are named with their packages where they are missing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'escada-arm-'));
  t.after(() => rm(folder, { recursive: true }));
  const env = { PATH: folder };
  assert.deepEqual(await missingToRun(env), [
    'aarch64-linux-gnu-gcc is not on PATH: on Debian and Ubuntu, `apt-get install gcc-aarch64-linux-gnu`.',
    'qemu-aarch64 is not on PATH: on Debian and Ubuntu, `apt-get install qemu-user`.',
  ]);
  for (const name of [LINKER, EMULATOR]) await writeFile(join(folder, name), '', { mode: 0o755 });
  assert.deepEqual(await missingToRun(env), []);
});

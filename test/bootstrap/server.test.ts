import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { findServer, pinnedCli } from '../../tools/bootstrap/lib/server.mjs';
import { ROOT, program, scratch } from './support.ts';

const saysVersion = (version: string): string =>
  `echo "temporal version ${version} (Server 1.31.2, UI 2.50.1)"`;

test('a server is found in the documented order', async (t) => {
  const home = await scratch(t);
  const env = { HOME: home, PATH: '', ESCADA_CACHE_DIR: path.join(home, 'cache') };
  const { key, version } = await pinnedCli(ROOT);

  assert.deepEqual(await findServer({ root: ROOT, env }), { kind: 'build', version });

  const built = await program(path.join(home, 'cache/temporal', key), 'temporal', saysVersion(version));
  assert.deepEqual(await findServer({ root: ROOT, env }), {
    kind: 'cli',
    path: built,
    from: 'cache',
    version,
  });

  const onPath = await program(path.join(home, 'bin'), 'temporal', saysVersion('1.7.0'));
  const withPath = { ...env, PATH: path.join(home, 'bin') };
  const fromPath = { kind: 'cli', path: onPath, from: 'PATH', version: '1.7.0' };
  assert.deepEqual(await findServer({ root: ROOT, env: withPath }), fromPath);

  const own = await program(path.join(home, 'own'), 'my-temporal', saysVersion('1.6.0'));
  const withSetting = { ...withPath, TEMPORAL_CLI_PATH: own };
  const fromSetting = { kind: 'cli', path: own, from: 'TEMPORAL_CLI_PATH', version: '1.6.0' };
  assert.deepEqual(await findServer({ root: ROOT, env: withSetting }), fromSetting);

  const withAddress = { ...withSetting, TEMPORAL_ADDRESS: 'host:7233' };
  const fromAddress = { kind: 'address', address: 'host:7233', from: 'TEMPORAL_ADDRESS' };
  assert.deepEqual(await findServer({ root: ROOT, env: withAddress }), fromAddress);
});

test('an environment profile with an address counts, another profile does not', async (t) => {
  const home = await scratch(t);
  const file = path.join(home, '.config/temporalio/temporal.toml');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, '[profile.prod]\naddress = "prod:7233"\n[profile.prod.tls]\ndisabled = true\n');
  const env = { HOME: home, PATH: '', ESCADA_CACHE_DIR: home, TEMPORAL_CONFIG_FILE: file };
  assert.equal((await findServer({ root: ROOT, env })).kind, 'build');
  const found = await findServer({ root: ROOT, env: { ...env, TEMPORAL_PROFILE: 'prod' } });
  assert.deepEqual(found, { kind: 'address', address: 'prod:7233', from: `profile prod of ${file}` });
});

test('an old CLI on PATH is passed over with a note; a set path that is unusable is an error', async (t) => {
  const home = await scratch(t);
  await program(home, 'temporal', saysVersion('0.13.1'));
  const notes: string[] = [];
  const env = { HOME: home, PATH: home, ESCADA_CACHE_DIR: home };
  const found = await findServer({ root: ROOT, env, onNote: (text) => notes.push(text) });
  assert.equal(found.kind, 'build');
  assert.match(notes.join(), /0\.13\.1 is older than/);
  const wrong = { ...env, TEMPORAL_CLI_PATH: path.join(home, 'nothing') };
  await assert.rejects(findServer({ root: ROOT, env: wrong }), {
    code: 'SETUP_TEMPORAL_CLI_UNUSABLE',
    exitCode: 2,
  });
});

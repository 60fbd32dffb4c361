import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { cached } from '../../../runtime/bootstrap/cache.mjs';
import { explain } from '../../../runtime/bootstrap/errors.mjs';
import { run } from '../../../runtime/bootstrap/exec.mjs';
import { ROOT, program, scratch } from './support.ts';

const STACK = /^\s+at /m;

test('what the system refuses is reported with the place and what to do, without a stack', async (t) => {
  const file = path.join(await scratch(t), 'file');
  await writeFile(file, '');
  const env = { ESCADA_CACHE_DIR: path.join(file, 'cache') };
  const error = await cached({ kind: 'k', key: 'a', keep: 1, env, build: async () => undefined }).catch(
    (caught: unknown) => caught,
  );
  const text = explain(error, {});
  assert.match(text, /^The set-up failed: ENOTDIR: .*file\/cache/);
  assert.match(text, /ESCADA_CACHE_DIR/);
  assert.doesNotMatch(text, STACK);
  assert.match(explain(error, { ESCADA_DEBUG: '1' }), /ENOTDIR/);
});

test('an interrupted program was stopped, not broken', async () => {
  const running = run('sleep', ['600'], { signal: AbortSignal.timeout(50) });
  const error = await running.catch((caught: unknown) => caught);
  assert.equal(explain(error, {}), 'Stopped. What was fetched and compiled so far is kept.');
});

test('Ctrl-C during the set-up ends it with 130 and one line', async (t) => {
  const home = await scratch(t);
  const bin = path.join(home, 'bin');
  for (const name of ['npm', 'cc', 'python3']) await program(bin, name, 'exit 0');
  await program(bin, 'cargo', 'echo "cargo 1.95.0"');
  // The set-up asks rustc for its version twice, and would wait long for the second answer.
  await program(
    bin,
    'rustc',
    'if [ "$1" = --version ]; then echo "rustc 1.95.0"; else exec /bin/sleep 600; fi',
  );
  const child = spawn(process.execPath, [path.join(ROOT, 'runtime/bootstrap/start.mjs')], {
    env: { HOME: home, PATH: bin, TEMPORAL_ADDRESS: '127.0.0.1:9', ESCADA_CACHE_DIR: path.join(home, 'c') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [text, isTold] = ['', false];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece) => {
      text += String(piece);
      if (isTold || !text.includes('model: fetching')) return;
      isTold = child.kill('SIGINT');
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 130, text);
  assert.match(text, /\nStopped\. What was fetched/);
  assert.doesNotMatch(text, STACK);
});

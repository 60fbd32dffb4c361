import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { mock, test } from 'node:test';
import { cargoState } from '../../../runtime/bootstrap/cargo-report.mjs';
import { runOrFail } from '../../../runtime/bootstrap/exec.mjs';
import { withDirectLoopback } from '../../../runtime/bootstrap/loopback.mjs';
import { ownNode } from '../../../runtime/bootstrap/own-node.mjs';
import { requestCounter } from '../../../runtime/bootstrap/packages.mjs';
import { createProgress } from '../../../runtime/bootstrap/progress.mjs';
import { program, scratch } from './support.ts';

test('what takes long says what it is at, not only that it still runs', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  const lines: string[] = [];
  const progress = createProgress({ write: (line) => lines.push(line), nowMs: () => 0 });
  const engine = progress.step('engine', 'compiling');
  mock.timers.tick(10_000);
  engine.now('compiling tokenizers (45 of 112 done)');
  mock.timers.tick(10_000);
  engine.done('compiled');
  mock.timers.tick(10_000);
  progress.close();
  mock.timers.reset();
  assert.deepEqual(lines, [
    '[   0 s] engine: compiling\n',
    '[   0 s] engine: compiling\n',
    '[   0 s] engine: compiling tokenizers (45 of 112 done)\n',
    '[   0 s] engine: compiled (0.0 s)\n',
  ]);
});

test('cargo’s own progress becomes a line', () => {
  const text =
    '    Building [===>    ] 45/112: tokenizers, minijinja\r\x1b[K    Building [====>   ] 46/112: minijinja\r';
  assert.equal(cargoState(text), 'compiling minijinja (46 of 112 done)');
  assert.equal(cargoState('  Downloaded serde v1.0.229\n'), 'downloaded serde v1.0.229');
  assert.equal(cargoState('   Compiling serde v1.0.229\n'), null);
});

test('npm’s requests are counted', () => {
  const states: string[] = [];
  const count = requestCounter(2, (state) => states.push(state));
  count('npm http fetch GET 200 https://host/zod 12ms\n');
  count('npm http fetch GET 200 https://host/zod/-/zod-4.6.7.tgz 12ms (cache miss)\n');
  count('npm http cache https://host/@a/b/-/b-1.0.0.tgz 0ms (cache hit)\n');
  assert.deepEqual(states, [
    'looked up 1 of 2 npm packages',
    'fetched 1 of 2 npm packages',
    'unpacking 2 npm packages',
  ]);
});

test('a failed program is shown as a terminal would have shown it', async (t) => {
  const folder = await scratch(t);
  const script = String.raw`printf '   Building [=> ] 1/2: a\r\033[Kerror: no\nnpm http fetch GET 200 x\n'; exit 3`;
  const tool = await program(folder, 'tool', script);
  await assert.rejects(runOrFail('tool', tool, []), { advice: ['error: no'] });
});

test('loopback is exempt from proxies for every child, beside what was exempt', async (t) => {
  const own = withDirectLoopback({ no_proxy: 'inner.example, 127.0.0.1', no_grpc_proxy: 'x' });
  const hosts = 'inner.example,127.0.0.1,x,localhost,::1';
  assert.deepEqual(own, { no_proxy: hosts, NO_PROXY: hosts, no_grpc_proxy: hosts });
  const tool = await program(await scratch(t), 'tool', 'echo "$http_proxy $no_proxy"');
  const said = await runOrFail('tool', tool, [], { env: { http_proxy: 'http://p:1' } });
  assert.equal(said, 'http://p:1 localhost,127.0.0.1,::1\n');
});

test('the program runs under the locked Node, else under a new enough one', async (t) => {
  const root = await scratch(t);
  const running = { path: '/usr/bin/node', version: '22.18.0' };
  assert.equal(await ownNode(root, running), '/usr/bin/node');
  await assert.rejects(ownNode(root, { ...running, version: '20.20.2' }), {
    code: 'SETUP_NODE',
    message: /npm installed no Node for .*, and this one is 20\.20\.2/,
  });
  const bin = path.join(root, 'node_modules/.bin');
  await mkdir(bin, { recursive: true });
  await writeFile(path.join(bin, 'node'), '', { mode: 0o755 });
  assert.equal(await ownNode(root, running), path.join(bin, 'node'));
});

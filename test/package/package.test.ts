/** The packed package, installed elsewhere: its types, its entries in a host's worker, its command. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { lstat, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { EscadaClient } from '../../client.ts';
import { ROOT, reasonToSkip } from '../whole/support/needs.ts';
import { Place } from '../whole/support/place.ts';
import { disown, own, until } from '../whole/support/processes.ts';
import { writeRows } from '../whole/support/runs.ts';
import { TestServer } from '../whole/support/server.ts';
import { tinySpec } from '../whole/support/specs.ts';
import { cleanEnv, mustRun, namedBlocks, packInto, runIn, writeFiles, type Ran } from './host.ts';
import { projectFiles } from './project.ts';

const skip = await reasonToSkip({ engine: true });

/** The queue that the page's code names. */
const TASK_QUEUE = 'my-queue';

const SPEC = tinySpec({
  rungs: {
    icl: { recipes: [{ shots: 1, selection: 'random' }] },
    peft: {
      learningRates: [1e-2],
      config: { r: 4, loraAlpha: 8, maxSteps: 2, saveSteps: 1, warmupSteps: 1 },
    },
  },
});

suite('the package, installed elsewhere', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let host: string;
  let env: NodeJS.ProcessEnv;
  let client: EscadaClient;
  let worker: ChildProcess | undefined;
  let log = '';
  let types: Promise<Ran>;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'package');
    await writeRows(place);
    env = cleanEnv({ ...place.env, ESCADA_TASK_QUEUE: TASK_QUEUE });
    client = await EscadaClient.connect({ ...place.settings, taskQueue: TASK_QUEUE });
    host = join(place.home, 'host');
    const tarball = await packInto(join(place.home, 'packed'), env);
    const readme = namedBlocks(await readFile(join(ROOT, 'docs/worker.md'), 'utf8'));
    assert.deepEqual(Object.keys(readme), ['worker.ts', 'workflows.ts', 'start.ts']);
    await writeFiles(host, projectFiles(tarball, SPEC, readme));
    await mustRun(host, env, [
      'npm',
      'install',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ]);
    // Takes as long as the adaptation, and most of that is waiting.
    types = runIn(host, env, ['node_modules/.bin/tsc', '-p', '.']);
  });

  after(async () => {
    if (worker !== undefined && worker.exitCode === null) worker.kill('SIGKILL');
    await client?.close();
    await place?.close();
    await server?.stop();
  });

  const startWorker = async () => {
    const child = spawn('node', ['worker.ts'], { cwd: host, env, stdio: ['ignore', 'pipe', 'pipe'] });
    if (child.pid !== undefined) own(child.pid);
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (log += String(piece)));
    worker = child;
    await until('the host to poll', async () => {
      if (child.exitCode !== null) throw new Error(`the host's worker ended with ${child.exitCode}:\n${log}`);
      return await client.requireWorker().then(
        () => true,
        () => undefined,
      );
    });
  };

  test('is a copy with compiled files, no link into the clone, no sources beside them', async () => {
    const folder = join(host, 'node_modules/escada');
    assert.equal((await lstat(folder)).isSymbolicLink(), false);
    const main = await readFile(join(folder, 'dist/cli/main.js'), 'utf8');
    assert.match(main, /^#!\/usr\/bin\/env node/);
    await assert.rejects(lstat(join(folder, 'client.ts')), { code: 'ENOENT' });
    for (const file of [
      'LICENSE',
      'Cargo.lock',
      'plugins/nf4-lora/engine/cpu/src/lib.rs',
      'tools/temporal-server/go.mod',
    ])
      await lstat(join(folder, file));
  });

  test('the light entries load, and are one copy', async () => {
    const loaded = JSON.parse(await mustRun(host, env, ['node', 'load.ts'])) as unknown;
    assert.deepEqual(loaded, { same: true, type: 'object', parsed: false });
  });

  test("an adaptation runs in the host's worker, beside the host's own workflows", async () => {
    await startWorker();
    const output = await mustRun(host, env, ['node', 'start.ts']);
    assert.match(output, /^(zero-shot|icl|peft): \S+ scores chrf 0\.\d+ .*8 test rows/);
    const ids: string[] = [];
    for await (const { workflowId } of client.temporal.workflow.list({
      query: "WorkflowType = 'adaptModel'",
    }))
      ids.push(workflowId);
    assert.equal(ids.length, 1);
    const outcome = await client.handle(ids[0] ?? '').result();
    assert.deepEqual(
      outcome.rungs.map((one) => [one.rung, one.outcome === 'measured' && one.tried]),
      [
        ['zero-shot', 1],
        ['icl', 2],
        ['peft', 3],
      ],
    );
    assert.equal(outcome.decision.verdict, 'target-not-met');
    const options = { args: ['you'], taskQueue: TASK_QUEUE, workflowId: 'greeting' };
    assert.equal(await client.temporal.workflow.execute('greet', options), 'Hello you');
  });

  test('doctor finds nothing missing, without Rust, npm or a linker', async () => {
    const bare = { ...env, PATH: dirname(process.execPath) };
    const { code, output } = await runIn(host, bare, [
      process.execPath,
      'node_modules/escada/dist/cli/main.js',
      'doctor',
    ]);
    assert.deepEqual(
      output.match(/^(ok|FAIL) +[^:]+/gm)?.map((line) => line.trim()),
      [
        'prerequisites',
        'temporal',
        'model',
        'plugins',
        'engine',
        'trainer nf4-lora',
        'disk',
        'server and workers',
      ].map((name) => `ok   ${name}`),
      output,
    );
    assert.equal(code, 0, output);
  });

  test('npx finds the command', async () => {
    const help = await mustRun(host, env, ['npx', '--no-install', 'escada', '--help']);
    assert.match(help, /^Usage: escada/m);
    assert.match(help, /engine +The native engine/);
  });

  test('every entry type-checks, strictly and with its own declarations', async () => {
    assert.deepEqual(await types, { code: 0, output: '' });
  });

  test("the host's worker ends in order, and its step workers with it", async () => {
    assert.ok(worker);
    worker.kill('SIGTERM');
    if (worker.exitCode === null) await once(worker, 'exit');
    if (worker.pid !== undefined) disown(worker.pid);
    assert.equal(worker.exitCode, 0, log);
  });
});

/** `npm start` on a Temporal server that somebody else runs: profile, namespace, proxies, and a run that ended badly. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { EscadaClient } from '../../client.ts';
import { findTemporalCli, reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { until, type CommandResult } from './support/processes.ts';
import { writeRows } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

/** Nobody listens there. */
const DEAD = 'http://127.0.0.1:1';
const PROXIES = {
  http_proxy: DEAD,
  https_proxy: DEAD,
  grpc_proxy: DEAD,
  HTTP_PROXY: DEAD,
  HTTPS_PROXY: DEAD,
};

const STACK = /^\s+at .+:\d+:\d+\)?$/m;

suite('npm start on a server of others', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'shared');
    await writeRows(place);
    // No queue is named: the command takes one of its own. A program that could start a server is at hand.
    env = { ESCADA_TASK_QUEUE: '', ESCADA_TEMPORAL_CLI: (await findTemporalCli()) ?? '' };
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  async function quickstart(name: string, spec: object, more: NodeJS.ProcessEnv): Promise<CommandResult> {
    await writeFile(join(place.dataDir, name), JSON.stringify(spec));
    return await place.escada(['quickstart', '--spec', name, '--json'], { ...env, ...more });
  }

  const idIn = ({ stdout }: CommandResult) =>
    (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { workflowId: string }).workflowId;

  test('the profile that is configured is used, namespace and all, through no proxy', async () => {
    const { code, output } = await server.temporal('operator', 'namespace', 'create', '--namespace', 'team');
    assert.equal(code, 0, output);
    const file = join(server.folder, 'temporal.toml');
    await writeFile(file, `[profile.work]\naddress = "${server.address}"\nnamespace = "team"\n`);
    // A new namespace is not known to every part of the server at once.
    const ended = await until('the namespace to be known', async () => {
      const one = await quickstart('profile.json', tinySpec({ name: 'profile' }), {
        ...PROXIES,
        TEMPORAL_ADDRESS: undefined,
        TEMPORAL_CONFIG_FILE: file,
        TEMPORAL_PROFILE: 'work',
      });
      return /no namespace "team"/.test(one.stderr) ? undefined : one;
    });
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stderr, new RegExp(`Run ${idIn(ended)}: namespace team at ${server.address}\n`));
    assert.doesNotMatch(ended.stderr, /http:\/\/127/);
    assert.equal(existsSync(join(place.home, 'temporal.db')), false, 'a server was started');
    const listed = await server.temporal('workflow', 'list', '--namespace', 'team', '-o', 'json');
    assert.match(listed.output, new RegExp(`"name": "escada-${await place.store.storeId()}"|${idIn(ended)}`));
  });

  test('a namespace that is not there, and a profile that is not there, are reported by name', async () => {
    const nowhere = await quickstart('n.json', tinySpec({ name: 'n' }), { TEMPORAL_NAMESPACE: 'nowhere' });
    assert.match(nowhere.stderr, /TEMPORAL_CONFIG_INVALID: The Temporal server has no namespace "nowhere"/);
    const profile = await quickstart('n.json', tinySpec({ name: 'n' }), { TEMPORAL_PROFILE: 'missing' });
    assert.match(profile.stderr, /TEMPORAL_CONFIG_INVALID: Temporal's settings \(profile "missing"\)/);
    for (const { code, stderr } of [nowhere, profile]) {
      assert.equal(code, 2);
      assert.doesNotMatch(stderr, STACK);
    }
  });

  test('a worker that cannot work says why, in a line', async () => {
    const { code, stderr } = await place.escada(['worker', 'cpu'], { TEMPORAL_NAMESPACE: 'nowhere' });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /WORKER_FAILED: The worker for cpu cannot start in namespace "nowhere": Namespace nowhere/,
    );
    assert.doesNotMatch(stderr, STACK);
  });

  test('again after a run that ended badly in its training: a new run, which ends well', async () => {
    const config = { r: 4, loraAlpha: 8, numTrainEpochs: 40, perDeviceTrainBatchSize: 1, saveSteps: 25 };
    const spec = tinySpec({ name: 'again', rungs: { peft: { learningRates: [1e-3], config } } });
    const client = await place.client();
    const [bad, first] = await Promise.all([quickstart('again.json', spec, {}), terminateInTraining(client)]);
    assert.notEqual(bad.code, 0);
    assert.match(bad.stderr, /The run was terminated\./);
    assert.doesNotMatch(bad.stderr, STACK);
    const good = await quickstart('again.json', spec, {});
    assert.equal(good.code, 0, good.stderr);
    assert.equal(idIn(good), first.workflowId);
    assert.doesNotMatch(good.stderr, /started by an earlier command/);
    assert.notEqual((await client.describe(first.workflowId)).runId, first.runId);
  });

  /** Waits for a run that trains, and terminates it as an administrator would. */
  async function terminateInTraining(client: EscadaClient): Promise<{ workflowId: string; runId: string }> {
    return await until('a training', async () => {
      const open = client.temporal.workflow.list({ query: `ExecutionStatus = "Running"` });
      for await (const { workflowId, runId } of open) {
        const progress = await client.progress(workflowId).catch(() => null);
        if (progress?.running.some((node) => node.startsWith('peft/')) !== true) continue;
        await client.temporal.workflow.getHandle(workflowId).terminate('a test');
        return { workflowId, runId };
      }
      return undefined;
    });
  }
});

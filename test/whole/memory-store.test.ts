/** A store that a plugin brings does all that the store on disk does: a ladder with equal figures, cached steps, resumed training. */
import assert from 'node:assert/strict';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { EscadaClient } from '../../client.ts';
import { EscadaPlugin } from '../../plugin.ts';
import { OWNER } from '../../plugins/sdk/owner.ts';
import { MemoryBlobs, memoryStorePlugin } from '../../plugins/sdk/testing/memory-store.ts';
import { readSettings } from '../../runtime/settings.ts';
import { reasonToSkip, TINY_MODEL } from './support/needs.ts';
import { Place } from './support/place.ts';
import { engineOf, until } from './support/processes.ts';
import {
  adapterOf,
  runAdaptation,
  FINAL_TRAINING,
  finished,
  writeRows,
  type FinishedRun,
} from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true, procfs: true });

/** Many short steps of the training, so that there is time to hit, and a checkpoint every few. */
const SPEC = tinySpec({
  name: 'memory',
  rungs: {
    ...tinySpec().rungs,
    peft: {
      learningRates: [1e-3],
      config: {
        r: 4,
        loraAlpha: 8,
        numTrainEpochs: 60,
        perDeviceTrainBatchSize: 1,
        saveSteps: 25,
        loraDropout: 0.1,
      },
    },
  },
});

/** A worker in this process, as a host of its own: what it shares with others is the store and the server. */
class MemoryHost {
  readonly client: EscadaClient;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #connection: NativeConnection;

  private constructor(client: EscadaClient, worker: Worker, connection: NativeConnection) {
    this.client = client;
    this.#worker = worker;
    this.#connection = connection;
    this.#ended = worker.run();
    this.#ended.catch(() => undefined);
  }

  static async start(home: string, taskQueue: string, blobs: MemoryBlobs): Promise<MemoryHost> {
    // What a deployment sets: the kind of store by its id, and the plugin that brings it.
    const settings = readSettings({
      ESCADA_HOME: home,
      ESCADA_STORE: 'memory',
      ESCADA_TASK_QUEUE: taskQueue,
      ESCADA_DATA_ROOTS: join(home, 'data'),
    });
    const plugins = [{ plugin: memoryStorePlugin(blobs) }];
    const connection = await NativeConnection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? '' });
    const worker = await Worker.create({
      connection,
      taskQueue,
      plugins: [await EscadaPlugin.load({ settings, plugins })],
    });
    const host = new MemoryHost(await EscadaClient.connect({ ...settings, plugins }), worker, connection);
    await until('the queues to be polled', async () => {
      const polled = host.client.requireWorker();
      return await polled.then(
        () => true,
        () => undefined,
      );
    });
    return host;
  }

  async stop(): Promise<void> {
    this.#worker.shutdown();
    await this.#ended;
    await this.client.close();
    await this.#connection.close();
  }
}

suite('a store in memory', { skip }, () => {
  let server: TestServer;
  let home: string;
  let reference: FinishedRun;
  const hosts: MemoryHost[] = [];

  const start = async (taskQueue: string, blobs: MemoryBlobs): Promise<MemoryHost> => {
    const host = await MemoryHost.start(home, taskQueue, blobs);
    hosts.push(host);
    return host;
  };
  const stop = async (host: MemoryHost): Promise<void> => {
    hosts.splice(hosts.indexOf(host), 1);
    await host.stop();
  };

  before(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await TestServer.start();
    const place = await Place.open(server, 'file');
    await writeRows(place);
    await place.startWorker();
    reference = await runAdaptation(place, SPEC);
    await place.close();
    home = join(server.folder, 'memory-home');
    process.env['ESCADA_HOME'] = home;
    process.env['ESCADA_MODEL_PATH'] = TINY_MODEL;
    await mkdir(join(home, 'data'), { recursive: true });
    await writeRows({ dataDir: join(home, 'data') });
  });

  after(async () => {
    for (const host of hosts) await host.stop();
    await server?.stop();
  });

  const result = (run: FinishedRun) => ({
    adapter: adapterOf(run),
    decision: run.outcome.decision,
    test: run.outcome.test.candidates.map(({ rung, value, low, high }) => ({ rung, value, low, high })),
    dev: run.outcome.rungs.map((one) =>
      one.outcome === 'measured' ? [one.rung, one.value, one.low, one.high] : [one.rung],
    ),
  });
  const attemptsOf = (run: FinishedRun): number =>
    run.activities.find(({ id }) => id === FINAL_TRAINING)?.attempt ?? 0;

  /** Checkpoints in the store; each training removes its own when it has ended. */
  const saved = (blobs: MemoryBlobs): string[] =>
    [...blobs.all.keys()].filter((name) => name.startsWith('checkpoints/'));

  /** Waits until the running final training has stored a checkpoint. */
  async function untilSaved(host: MemoryHost, workflowId: string, blobs: MemoryBlobs): Promise<void> {
    await until(
      'the final training',
      async () => {
        const { running } = await host.client
          .progress(workflowId)
          .catch(() => ({ running: [] as readonly string[] }));
        return running.includes(FINAL_TRAINING) ? true : undefined;
      },
      { everyMs: 10 },
    );
    await until('a stored checkpoint', () => (saved(blobs).length > 0 ? true : undefined), {
      everyMs: 10,
    });
  }

  /** Waits until a second attempt has a checkpoint that came out of the store: its files have another name there. */
  async function untilResumed(): Promise<void> {
    const isRestored = async (): Promise<true | undefined> => {
      for (const name of (await readdir(tmpdir())).filter((one) => one.startsWith(`escada-store-${OWNER}`))) {
        const scratch = join(tmpdir(), name, 'scratch');
        const paths = await readdir(scratch, { recursive: true }).catch(() => [] as string[]);
        for (const path of paths) {
          if (!/attempt-2\/out\/checkpoint-\d+\/manifest\.json$/.test(path)) continue;
          const found = await stat(join(scratch, path)).catch(() => null);
          if (found !== null && found.nlink > 1) return true;
        }
      }
      return undefined;
    };
    await until('the second attempt to continue from a stored checkpoint', isRestored, { everyMs: 5 });
  }

  test('runs a whole ladder to the figures of the store on disk, through a killed trainer; the next run is cached', async () => {
    const blobs = new MemoryBlobs();
    const host = await start('memory-one', blobs);
    const { workflowId } = await host.client.startAdaptation(SPEC);
    await untilSaved(host, workflowId, blobs);
    const engine = engineOf(home);
    assert.ok(engine, 'no engine process was found');
    process.kill(engine.pid, 'SIGKILL');
    await untilResumed();
    const place = { client: async () => host.client };
    const run = await finished(place, workflowId);
    assert.equal(attemptsOf(run), 2);
    assert.deepEqual(result(run), result(reference));
    assert.deepEqual(saved(blobs), [], 'a training that has ended leaves no checkpoint');
    const again = await runAdaptation(place, SPEC);
    assert.deepEqual(
      again.progress.finished.filter(({ cached }) => !cached),
      [],
    );
    assert.deepEqual(result(again), result(run));
    await assert.rejects(stat(join(home, 'store')), { code: 'ENOENT' }, 'nothing went to the store on disk');
    await stop(host);
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith(`escada-store-${OWNER}`));
    assert.deepEqual(left, [], 'a closed store leaves no copies');
  });

  test('another host continues a training from the checkpoints in the store', async () => {
    const blobs = new MemoryBlobs();
    const first = await start('memory-two', blobs);
    const { workflowId } = await first.client.startAdaptation(SPEC);
    await untilSaved(first, workflowId, blobs);
    // A worker that stops lets a step end that can: this one cannot, and its next attempt goes to the other host.
    const trainer = engineOf(home);
    assert.ok(trainer, 'no engine process was found');
    const stopped = stop(first);
    process.kill(trainer.pid, 'SIGKILL');
    await stopped;
    const second = await start('memory-two', blobs);
    await untilResumed();
    const run = await finished({ client: async () => second.client }, workflowId);
    assert.ok(attemptsOf(run) >= 2);
    assert.deepEqual(result(run), result(reference));
    await stop(second);
  });
});

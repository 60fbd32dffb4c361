/** One training without a ladder: attempts that the workflow owns, and what a run hands to the next. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { EscadaClient } from '../../client.ts';
import { TRAINING_ATTEMPTS_PER_RUN } from '../../schemas/plan/constants.ts';
import type { TrainSpecInput } from '../../schemas/spec/train-spec.ts';
import { activitiesOf } from './support/history.ts';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { engineOf, until } from './support/processes.ts';
import { writeRows } from './support/runs.ts';
import { stepFolder } from './support/step-folder.ts';
import { TestServer } from './support/server.ts';

const skip = await reasonToSkip({ engine: true, procfs: true });

const spec = (changes: object = {}): TrainSpecInput => ({
  name: 'tiny',
  task: { instruction: 'Say it.', maxPromptTokens: 120, maxAnswerTokens: 32 },
  data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
  config: { r: 4, loraAlpha: 8, maxSteps: 700, saveSteps: 25, perDeviceTrainBatchSize: 1, ...changes },
});

suite('one training', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let client: EscadaClient;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'train');
    await writeRows(place);
    await place.startWorker();
    client = await place.client();
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  test('kill -9 of its trainer: the workflow tries again, the adapter is the undisturbed one', async () => {
    const other = await Place.open(server, 'calm');
    await writeRows(other);
    await other.startWorker();
    const calm = await (await (await other.client()).startTraining(spec())).result();
    await other.close();
    assert.deepEqual([calm.steps, calm.failedAttempts, calm.rows], [700, 0, 56]);

    const handle = await client.startTraining(spec());
    const engine = await trainerAtWork(handle.workflowId);
    process.kill(engine.pid, 'SIGKILL');
    const disturbed = await handle.result();
    assert.equal(disturbed.failedAttempts, 1);
    const { code, stdout } = await place.escada(['status', handle.workflowId]);
    assert.deepEqual([code, stdout.split('\n')[1]], [0, 'phase done, failed attempts 1'], stdout);
    assert.equal(disturbed.adapterSha256, calm.adapterSha256);
    assert.deepEqual(disturbed.adapter, calm.adapter);
    const attempts = activitiesOf(await handle.fetchHistory()).filter(({ id }) => id === 'train');
    assert.deepEqual(
      attempts.map(({ completed }) => completed),
      [false, true],
    );
  });

  test(`after ${TRAINING_ATTEMPTS_PER_RUN} failed attempts a run continues as new and hands on what it knows`, async () => {
    const handle = await client.temporal.workflow.start('trainModel', {
      args: [spec({ seed: 2 }), await carried(TRAINING_ATTEMPTS_PER_RUN - 1)],
      taskQueue: place.settings.taskQueue,
      workflowId: 'train-continues',
    });
    const { firstExecutionRunId } = handle;
    const engine = await trainerAtWork(handle.workflowId);
    process.kill(engine.pid, 'SIGKILL');
    const outcome = (await handle.result()) as { failedAttempts: number; steps: number };
    assert.deepEqual([outcome.failedAttempts, outcome.steps], [TRAINING_ATTEMPTS_PER_RUN, 700]);
    const latest = await client.temporal.workflow.getHandle('train-continues').describe();
    assert.notEqual(latest.runId, firstExecutionRunId);
    const history = await client.temporal.workflow.getHandle('train-continues', latest.runId).fetchHistory();
    assert.deepEqual(
      activitiesOf(history).map(({ id }) => id),
      ['train'],
      'nothing is curated again',
    );
  });

  test('escada train prints the path of the adapter', async () => {
    await writeFile(join(place.dataDir, 'train.json'), JSON.stringify(spec({ maxSteps: 4 })));
    const { code, stdout, stderr } = await place.escada(['train', 'train.json', '--json']);
    assert.equal(code, 0, stderr);
    const outcome = JSON.parse(stdout.trim()) as { steps: number; adapterPath: string };
    assert.equal(outcome.steps, 4);
    assert.ok(existsSync(join(outcome.adapterPath, 'adapter_model.safetensors')));
  });

  test('full fine-tuning: escada train prints the path of the model, and it is the one of its steps', async () => {
    const full = {
      ...spec(),
      model: { options: { weightFormat: 'f32' } },
      config: { method: 'full', learningRate: 1e-3, maxSteps: 4, saveSteps: 2 },
    };
    await writeFile(join(place.dataDir, 'full.json'), JSON.stringify(full));
    const { code, stdout, stderr } = await place.escada(['train', 'full.json', '--json']);
    assert.equal(code, 0, stderr);
    const outcome = JSON.parse(stdout.trim()) as { steps: number; modelPath: string; modelSha256: string };
    assert.equal(outcome.steps, 4);
    const bytes = await readFile(join(outcome.modelPath, 'model.safetensors'));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), outcome.modelSha256);
    assert.ok(existsSync(join(outcome.modelPath, 'config.json')));
  });

  test('a spec that is not valid is refused with its fields, by the client and by the run', async () => {
    const wrong = { ...spec(), config: { learningRate: 7 } } as TrainSpecInput;
    await assert.rejects(client.startTraining(wrong), {
      code: 'INVALID_SPEC',
      message: /config\.learningRate/,
    });
    const quantized = { ...spec(), config: { method: 'full' } } as TrainSpecInput;
    await assert.rejects(client.startTraining(quantized), {
      code: 'INVALID_SPEC',
      message: /model\.options\.weightFormat.*"f32"/,
    });
    const handle = await client.temporal.workflow.start('trainModel', {
      args: [{ ...spec(), trainer: 'nobody' }],
      taskQueue: place.settings.taskQueue,
      workflowId: 'train-wrong',
    });
    await assert.rejects(handle.result(), ({ cause }: { cause: { type: string; message: string } }) => {
      assert.equal(cause.type, 'INVALID_SPEC');
      assert.match(cause.message, /trainer: .*nobody/);
      return true;
    });
  });

  /** The process that trains, once a checkpoint of it is complete. */
  async function trainerAtWork(workflowId: string) {
    const complete = async () => {
      const out = join(await stepFolder(place.store.root, workflowId, 'train'), 'attempt-1', 'out');
      const names = await readdir(out).catch(() => []);
      return names.some((name) => existsSync(join(out, name, 'manifest.json')))
        ? engineOf(place.home)
        : undefined;
    };
    return await until('a checkpoint', complete, { everyMs: 10 });
  }

  /** What a run would hand on after so many failed attempts: taken from the history of the training above. */
  async function carried(failedAttempts: number): Promise<object> {
    const runs = client.temporal.workflow.list({ query: "WorkflowType='trainModel'" });
    for await (const { workflowId } of runs) {
      const history = await client.temporal.workflow.getHandle(workflowId).fetchHistory();
      const scheduled = (history.events ?? []).find(
        ({ activityTaskScheduledEventAttributes: one }) => one?.activityId === 'train',
      )?.activityTaskScheduledEventAttributes;
      const payload = scheduled?.input?.payloads?.[0];
      if (payload == null) continue;
      const input = JSON.parse(Buffer.from(payload.data ?? []).toString()) as { config: object };
      const step = {
        id: 'train',
        form: 'step',
        uses: 'train.adapter@1',
        with: { ...input, config: { ...input.config, seed: 2 } },
        needs: [],
        resource: 'gpu',
        retry: 'resumable',
        startToCloseTimeoutMs: 600_000,
        heartbeatTimeoutMs: 10_000,
        summary: 'train',
      };
      return { step, failedAttempts, lastFailure: 'before' };
    }
    throw new Error('no training has run');
  }
});

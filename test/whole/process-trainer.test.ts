/** A training by a command that speaks the trainer protocol, as a workflow; its adapter serves the engine. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { TrainSpecInput } from '../../schemas/spec/train-spec.ts';
import { loadHost } from '../../plugins.ts';
import { score } from '../../plugins/sdk/model-calls.ts';
import { commandWith } from '../plugins/process-trainer/support/train.ts';
import { activitiesOf } from './support/history.ts';
import { reasonToSkip, TINY_MODEL } from './support/needs.ts';
import { Place } from './support/place.ts';
import { processesOf, until } from './support/processes.ts';
import { runAdaptation, writeRows } from './support/runs.ts';
import { stepFolder } from './support/step-folder.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true, procfs: true });

const CONFIG = { r: 4, loraAlpha: 8, maxSteps: 60, saveSteps: 5 };

const spec = (changes: Partial<TrainSpecInput> = {}): TrainSpecInput => ({
  name: 'other',
  task: { instruction: 'Say it.', maxPromptTokens: 120, maxAnswerTokens: 32 },
  data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
  trainer: 'small',
  config: CONFIG,
  ...changes,
});

suite('training by another program', { skip }, () => {
  let server: TestServer;
  const places: Place[] = [];

  before(async () => {
    server = await TestServer.start();
  });

  after(async () => {
    for (const place of places) await place.close();
    await server?.stop();
    delete process.env['ESCADA_CONFIG'];
  });

  /** A place whose workers, and the clients of this test, know the small trainer. */
  async function open(name: string): Promise<Place> {
    const place = await Place.open(server, name);
    places.push(place);
    const config = join(place.dataDir, 'escada.json');
    const trainers = [
      { id: 'small', command: commandWith('step-ms:25') },
      { id: 'narrow', command: commandWith('f32-only') },
      { id: 'broken', command: commandWith('no-handshake-exit') },
    ];
    await writeFile(config, JSON.stringify({ options: { 'process-trainer': { trainers } } }));
    for (const env of [place.env, process.env]) env['ESCADA_CONFIG'] = config;
    await writeRows(place);
    await place.startWorker();
    return place;
  }

  const commandOf = (place: Place) =>
    processesOf(place.home).find(({ command }) => /support\/trainer\.ts step-ms/.test(command));

  test('kill -9 in the middle: the adapter is that of an undisturbed run, and changes answers', async () => {
    const calm = await open('calm');
    const undisturbed = await (await (await calm.client()).startTraining(spec())).result();
    assert.deepEqual([undisturbed.steps, undisturbed.failedAttempts, undisturbed.rows], [60, 0, 56]);

    const place = await open('killed');
    const handle = await (await place.client()).startTraining(spec());
    const victim = await until(
      'a checkpoint',
      async () => {
        const out = join(await stepFolder(place.store.root, handle.workflowId, 'train'), 'attempt-1', 'out');
        const names = await readdir(out).catch(() => []);
        const complete = names.some((name) => existsSync(join(out, name, 'manifest.json')));
        return complete ? commandOf(place) : undefined;
      },
      { everyMs: 10 },
    );
    process.kill(victim.pid, 'SIGKILL');
    const disturbed = await handle.result();
    assert.equal(disturbed.failedAttempts, 1);
    assert.deepEqual(disturbed.adapter, undisturbed.adapter);
    assert.deepEqual(disturbed.training, undisturbed.training);
    const training = (await place.store.readJson(disturbed.training)) as {
      trainer: { id: string; resume: string };
      losses: unknown[];
    };
    assert.deepEqual([training.trainer.id, training.trainer.resume], ['small', 'bitwise']);
    assert.equal(training.losses.length, 60);
    assert.ok(disturbed.adapter);
    await assertAdapts(await place.store.localFolder(disturbed.adapter));
  });

  /** The engine answers otherwise with the adapter than without. */
  async function assertAdapts(adapterPath: string): Promise<void> {
    const host = await loadHost();
    try {
      const model = host.registry.languageModel({ provider: 'nf4-lora', id: TINY_MODEL, options: {} });
      const rows = [{ id: '1', messages: [{ role: 'user', content: 'Say it.' }] as const }];
      const scored = { rows: rows.map((row) => ({ ...row, continuations: ['A blue sock.'] })) };
      const { signal } = new AbortController();
      const plain = await score(model, { ...scored, signal });
      const adapted = await score(model, { ...scored, signal, adapterPath });
      const value = ({ scores }: typeof plain) => scores[0]?.continuations[0]?.logProbNats ?? 0;
      assert.ok(Math.abs(value(plain) - value(adapted)) > 1e-3, `${value(plain)} and ${value(adapted)}`);
    } finally {
      await host.close();
    }
  }

  test('cancel: the run ends as cancelled, and its command with it', async () => {
    const place = await open('cancel');
    const endless = spec({ config: { ...CONFIG, maxSteps: 1_000_000 } });
    const handle = await (await place.client()).startTraining(endless);
    await until('the command', () => commandOf(place));
    await handle.cancel();
    await assert.rejects(handle.result());
    assert.equal((await handle.describe()).status.name, 'CANCELLED');
    await until('the end of the command', () => (commandOf(place) === undefined ? true : undefined));
  });

  test('what is wrong is said once, with what to do, and not tried again', async () => {
    const place = await open('wrong');
    const client = await place.client();
    const causeOf = async (changes: Partial<TrainSpecInput>) => {
      const handle = await client.startTraining(spec(changes));
      const error = (await handle.result().catch((reason: unknown) => reason)) as {
        cause: { type: string; message: string };
      };
      const attempts = activitiesOf(await handle.fetchHistory()).filter(({ id }) => id === 'train');
      assert.equal(attempts.length, 1);
      return error.cause;
    };
    const narrow = await causeOf({ trainer: 'narrow' });
    assert.equal(narrow.type, 'TRAINER_UNSUPPORTED');
    assert.match(narrow.message, /format of the model's weights: nf4 .* takes f32/);
    const broken = await causeOf({ trainer: 'broken' });
    assert.equal(broken.type, 'TRAINER_NOT_STARTED');
    assert.match(broken.message, /no module named torch/);
    await assert.rejects(client.startTraining(spec({ trainer: 'smal' })), {
      code: 'INVALID_SPEC',
      message: /trainer: .*"smal".* Did you mean "small"\?/,
    });
  });

  test('an adaptation tunes with it, and the engine answers with its adapter', async () => {
    const place = await open('adaptation');
    const run = await runAdaptation(
      place,
      tinySpec({
        flowchart: {
          name: 'tune',
          start: 'ask',
          nodes: {
            ask: { form: 'try', title: 'Ask', rung: 'zero-shot', next: 'tune' },
            tune: { form: 'try', title: 'Tune', rung: 'peft', next: 'end' },
            end: { form: 'end', title: 'End', verdict: 'target-not-met' },
          },
        },
        rungs: {
          peft: { trainer: 'small', learningRates: [1e-3, 2e-3], config: { ...CONFIG, maxSteps: 6 } },
        },
      }),
    );
    assert.deepEqual(
      run.outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'peft'],
    );
  });
});

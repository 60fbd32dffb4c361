/** What a run survives: kill -9 of the trainer, of the worker and of the server, a shutdown; and that cancel stops it. */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import type { Flowchart } from '../../schemas/spec/flowchart.ts';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { engineOf, processesOf, until, untilNoneLeft } from './support/processes.ts';
import { stepFolder } from './support/step-folder.ts';
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

/** Zero-shot, so that something is finished before the training that gets disturbed; then PEFT. */
const CHART: Flowchart = {
  name: 'tune',
  start: 'ask',
  nodes: {
    ask: { form: 'try', title: 'Ask', rung: 'zero-shot', next: 'tune' },
    tune: { form: 'try', title: 'Tune', rung: 'peft', next: 'end' },
    end: { form: 'end', title: 'End', verdict: 'target-not-met' },
  },
};

/** Many short steps, so that there is time to hit, and a checkpoint every few, so that there is something to resume. */
const LONG = {
  r: 4,
  loraAlpha: 8,
  numTrainEpochs: 60,
  perDeviceTrainBatchSize: 1,
  saveSteps: 25,
  loraDropout: 0.1,
};

const specWith = (learningRates: number[], config: Record<string, number>) =>
  tinySpec({ name: 'kill', flowchart: CHART, rungs: { peft: { learningRates, config } } });

const SPEC = specWith([1e-3, 2e-3], LONG);

/** Never over by itself. */
const ENDLESS = specWith([1e-3], { ...LONG, maxSteps: 1_000_000 });

suite('a run that is disturbed in its final training', { skip }, () => {
  let server: TestServer;
  let undisturbed: FinishedRun;
  const places: Place[] = [];

  const open = async (name: string): Promise<Place> => {
    const place = await Place.open(server, name);
    places.push(place);
    await writeRows(place);
    await place.startWorker();
    return place;
  };

  before(async () => {
    server = await TestServer.start();
    const place = await open('calm');
    undisturbed = await runAdaptation(place, SPEC);
    await place.close();
  });

  after(async () => {
    for (const place of places) await place.close();
    await server?.stop();
  });

  /** Folder of a run's final training: one folder below it for each attempt. */
  const nodeDir = (place: Place, workflowId: string) =>
    stepFolder(place.store.root, workflowId, FINAL_TRAINING);

  /** Checkpoints of an attempt that are complete: name and inode of their manifest. */
  async function checkpoints(dir: string, attempt: number): Promise<Map<string, number>> {
    const out = join(dir, `attempt-${attempt}`, 'out');
    const found = new Map<string, number>();
    for (const name of await readdir(out).catch(() => [])) {
      const manifest = await stat(join(out, name, 'manifest.json')).catch(() => null);
      if (manifest !== null) found.set(name, manifest.ino);
    }
    return found;
  }

  /** Starts a run and waits until its final training has written a checkpoint. */
  async function startAndWait(place: Place, spec = SPEC): Promise<{ workflowId: string; dir: string }> {
    const { workflowId } = await (await place.client()).startAdaptation(spec);
    const some = async () =>
      (await checkpoints(await nodeDir(place, workflowId), 1)).size > 0 ? true : undefined;
    await until('a checkpoint of the final training', some, { timeoutMs: 600_000, everyMs: 10 });
    return { workflowId, dir: await nodeDir(place, workflowId) };
  }

  /** Waits until the second attempt has taken over a checkpoint of the first: the same file, not one trained again. */
  async function untilResumed(dir: string): Promise<void> {
    let first = new Map<string, number>();
    await until(
      'the second attempt to take over a checkpoint',
      async () => {
        const seen = await checkpoints(dir, 1);
        if (seen.size > 0) first = seen;
        const second = await checkpoints(dir, 2);
        return [...first].some(([name, inode]) => second.get(name) === inode) ? true : undefined;
      },
      { everyMs: 10 },
    );
  }

  /** Steps with their attempts, except the one that was disturbed. */
  const others = (run: FinishedRun) =>
    run.activities.filter(({ id }) => id !== FINAL_TRAINING).map(({ id, attempt }) => ({ id, attempt }));

  /** Everything ran once but the disturbed training, whose result is the same to the byte. */
  function assertSame(run: FinishedRun, attempts: (count: number) => boolean): void {
    assert.deepEqual(adapterOf(run), adapterOf(undisturbed));
    assert.deepEqual(withoutAnonymous(others(run)), withoutAnonymous(others(undisturbed)));
    assert.equal(new Set(run.activities.map(({ id }) => id)).size, run.activities.length);
    const training = run.activities.find(({ id }) => id === FINAL_TRAINING);
    assert.ok(attempts(training?.attempt ?? 0), `attempt ${training?.attempt}`);
    assert.deepEqual(
      run.outcome.test.candidates.map(({ rung, value }) => ({ rung, value })),
      undisturbed.outcome.test.candidates.map(({ rung, value }) => ({ rung, value })),
    );
  }

  /** Control activities have numbers for ids. */
  const withoutAnonymous = (all: { id: string; attempt: number }[]) =>
    all.filter(({ id }) => id.includes('/'));

  test('kill -9 of the trainer', async () => {
    const place = await open('trainer');
    const { workflowId, dir } = await startAndWait(place);
    const engine = engineOf(place.home);
    assert.ok(engine, 'no engine process was found');
    assert.equal(engine.parentPid, place.workerPid);
    process.kill(engine.pid, 'SIGKILL');
    await untilResumed(dir);
    assertSame(await finished(place, workflowId), (count) => count === 2);
    await place.close();
  });

  test('kill -9 of the worker: its engine ends with it, another worker continues', async () => {
    const place = await open('worker');
    const { workflowId, dir } = await startAndWait(place);
    await place.killWorker();
    await untilNoneLeft(place.home);
    await place.startWorker();
    await untilResumed(dir);
    assertSame(await finished(place, workflowId), (count) => count >= 2);
    await place.close();
  });

  test('an orderly stop of the worker: another worker continues', async () => {
    const place = await open('stop');
    const { workflowId } = await startAndWait(place);
    await place.stopWorker();
    await untilNoneLeft(place.home);
    await place.startWorker();
    // A stop leaves steps some time to end by themselves: whether this one does depends on the machine.
    assertSame(await finished(place, workflowId), (count) => count >= 1);
    await place.close();
  });

  test('cancel: the run ends as cancelled and its trainer stops', async () => {
    const place = await open('cancel');
    const { workflowId, dir } = await startAndWait(place, ENDLESS);
    const { code, stderr } = await place.escada(['cancel', workflowId]);
    assert.equal(code, 0, stderr);
    const handle = (await place.client()).handle(workflowId);
    const error: unknown = await handle.result().catch((reason: unknown) => reason);
    assert.ok(error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure, String(error));
    assert.equal((await handle.describe()).status.name, 'CANCELLED');
    // The model stays loaded for the next run, but nothing trains: no checkpoint follows.
    const left = [...(await checkpoints(dir, 1)).keys()];
    await sleep(2000);
    assert.deepEqual([...(await checkpoints(dir, 1)).keys()], left);
    await place.stopWorker();
    assert.deepEqual(processesOf(place.home), []);
    await place.close();
  });

  test('kill -9 of the server', async () => {
    const place = await open('server');
    const { workflowId } = await startAndWait(place);
    await server.kill();
    await sleep(3000);
    await server.restart();
    const { temporal } = await place.client();
    const ended = async () => {
      const { status } = await temporal.workflow
        .getHandle(workflowId)
        .describe()
        .catch(() => ({ status: null }));
      return status === null || status.name === 'RUNNING' ? undefined : status.name;
    };
    assert.equal(await until('the run to end', ended, { timeoutMs: 600_000, everyMs: 500 }), 'COMPLETED');
    assertSame(await finished(place, workflowId), (count) => count >= 1);
    await place.close();
  });
});

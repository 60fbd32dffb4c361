/** The training loop, started as a user starts it; only its steps are scripted. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { PlannedStep } from '../../../schemas/plan/pipeline-plan.ts';
import type { TrainOutcome, TrainProgress } from '../../../schemas/outcome/train-run.ts';
import type { TrainSpecInput } from '../../../schemas/spec/train-spec.ts';
import { until } from '../../whole/support/processes.ts';
import {
  answer,
  crashing,
  failing,
  failingFor,
  hanging,
  inTurn,
  silent,
  type Behaviour,
} from '../support/behaviours.ts';
import { ABSENT_KIND } from '../support/kinds.ts';
import { Stage } from '../support/stage.ts';
import type { StagedRun } from '../support/staged-run.ts';

const SPEC: TrainSpecInput = {
  name: 'staged',
  task: { instruction: 'Say it.' },
  data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
};

const artifact = (letter: string): JsonObject => {
  const sha256 = letter.repeat(64);
  return { uri: `artifact:sha256:${sha256}`, sha256, sizeBytes: 1, mediaType: 'text/plain' };
};

const CURATED = answer({ dataset: artifact('a'), rows: 3, dropped: 0 });

const TRAINED = answer({
  ...{ adapter: artifact('b'), adapterSha256: 'b'.repeat(64), training: artifact('c') },
  ...{ rows: 3, steps: 5, lossFirstNats: 2, lossLastNats: 1, skippedSteps: 0, warnings: [], warningCount: 0 },
});

/** A planned step as a run hands it to the run that continues it. */
const planned = (changes: Partial<PlannedStep> = {}): PlannedStep => ({
  ...{ id: 'train', form: 'step', uses: 'test.resumable@1', with: { rows: 3 }, needs: [], resource: 'cpu' },
  ...{ retry: 'resumable', startToCloseTimeoutMs: 60_000, heartbeatTimeoutMs: 1000, summary: 'train' },
  ...changes,
});

suite('trainings', { concurrency: 4 }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('training');
    await stage.writeData('rows.csv', 'input,output\na,b\n');
  });
  after(() => stage.close());

  const start = async (train: Behaviour): Promise<StagedRun> =>
    await stage.train(SPEC, { steps: { '*': CURATED, train } });

  const carriedOn = async (train: Behaviour, carried: unknown): Promise<StagedRun> =>
    await stage.start('trainModel', [SPEC, carried], { steps: { train } });

  test('attempts that fail on the way are tried again, and the outcome counts them', async () => {
    const run = await carriedOn(inTurn(failing('ENGINE_CRASHED', 'first'), silent(), TRAINED), {
      ...{ step: planned(), failedAttempts: 0, lastFailure: '' },
    });
    const outcome = await run.result<TrainOutcome>();
    assert.equal(outcome.failedAttempts, 2);
    assert.equal(outcome.adapterSha256, 'b'.repeat(64));
    const progress = await run.query<TrainProgress>('progress');
    assert.equal(progress.phase, 'done');
    assert.match(progress.lastFailure, /heartbeat/i);
  });

  test('the next attempt comes when the failure asks for it', async () => {
    const startedMs: number[] = [];
    const timed: Behaviour = async (call) => {
      startedMs.push(Date.now());
      return await inTurn(failingFor(3000), TRAINED)(call);
    };
    const run = await carriedOn(timed, { step: planned(), failedAttempts: 0, lastFailure: '' });
    await run.result();
    const [first = 0, second = 0] = startedMs;
    assert.ok(second - first >= 3000, `tried again after ${second - first} ms; the usual wait is 1000`);
  });

  test('no progress is final, with the step’s own code', async () => {
    const run = await start(
      inTurn(failing('ENGINE_CRASHED'), failing('TRAINING_NO_PROGRESS', 'stuck at 100')),
    );
    const { code, message } = await run.failure();
    assert.deepEqual([code, message], ['TRAINING_NO_PROGRESS', 'stuck at 100']);
    assert.deepEqual(run.callsOf('train')[0]?.input['rows'], artifact('a'));
    assert.equal((await run.query<TrainProgress>('progress')).phase, 'failed');
  });

  test('a worker without the step kind ends the training', async () => {
    const run = await carriedOn(TRAINED, {
      ...{ step: planned({ uses: ABSENT_KIND }), failedAttempts: 0, lastFailure: '' },
    });
    const { code, message } = await run.failure();
    assert.equal(code, 'STEP_KIND_UNKNOWN');
    assert.match(message, /test\.absent@1/);
  });

  test('a bug in the step ends the training after a few attempts', async () => {
    const run = await start(crashing(new TypeError('x is not a function')));
    const { code, message } = await run.failure();
    assert.deepEqual([code, message], ['INTERNAL', 'Unexpected TypeError: x is not a function']);
    assert.equal(run.callsOf('train').length, 3);
  });

  test('a run continues as new after ten failures and hands on what it knows', async () => {
    const run = await carriedOn(inTurn(failing('ENGINE_CRASHED', 'the tenth'), TRAINED), {
      ...{ step: planned(), failedAttempts: 9, lastFailure: 'the ninth' },
    });
    const first = await run.handle.describe();
    const outcome = await run.result<TrainOutcome>();
    assert.equal(outcome.failedAttempts, 10);
    assert.notEqual((await run.handle.describe()).runId, first.runId);
    assert.equal((await run.query<TrainProgress>('progress')).lastFailure, 'the tenth');
    assert.deepEqual(run.callsOf('train')[1]?.input, { rows: 3 });
  });

  test('attempts that fail before they can count are not repeated without end', async () => {
    const run = await carriedOn(failing('ENGINE_CRASHED', 'no device'), {
      ...{ step: planned(), failedAttempts: 199, lastFailure: 'no device' },
    });
    const { code, message } = await run.failure();
    assert.equal(code, 'TRAINING_NO_PROGRESS');
    assert.match(message, /200 attempts have failed\. The last one: no device/);
  });

  test('a second argument that is no state is refused by its field', async () => {
    const good = { step: planned(), failedAttempts: 1, lastFailure: '' };
    const cases: [unknown, RegExp][] = [
      ['text', /it must be one JSON object/],
      [{ ...good, step: {} }, /step: must be a planned step/],
      [{ ...good, step: { ...planned(), uses: 7 } }, /step\.uses: must be a text/],
      [{ ...good, step: { ...planned(), heartbeatTimeoutMs: 'soon' } }, /step\.heartbeatTimeoutMs/],
      [{ ...good, failedAttempts: -1 }, /failedAttempts: must be a count/],
    ];
    for (const [carried, expected] of cases) {
      const { code, message } = await (await carriedOn(TRAINED, carried)).failure();
      assert.equal(code, 'INVALID_SPEC');
      assert.match(message, expected);
    }
  });

  test('a reference that leads nowhere is a failure, not a stuck run', async () => {
    const run = await stage.train(SPEC, {
      steps: { '*': CURATED, 'curate.token-filter@1': answer({ rows: 3 }) },
    });
    const { code, message } = await run.failure();
    assert.equal(code, 'INVALID_SPEC');
    assert.match(message, /^train: \$\{nodes\.token-filter\.output\.dataset\} leads to nothing/);
  });

  test('what other programs say is text in the run’s details', async () => {
    const run = await start(
      inTurn(failing('ENGINE_CRASHED', '# Big\n[Approve here](https://evil.example) | <b>'), hanging()),
    );
    await run.started('train', 2);
    const details = await run.details();
    assert.match(details, /\*\*Failed attempts:\*\* 1/);
    assert.doesNotMatch(details, /\n#|\]\(|https:\/\/|<b>| \| /);
    await run.handle.cancel();
    assert.equal((await run.failure()).as, 'cancelled');
    assert.equal((await run.query<TrainProgress>('progress')).phase, 'cancelled');
    assert.match(await run.details(), /\*\*Phase:\*\* cancelled/);
  });

  test('a terminated training ends at once and its step ends, too', async () => {
    const run = await start(hanging());
    const call = await run.started('train');
    await run.handle.terminate('enough');
    const { as, message } = await run.failure();
    assert.deepEqual([as, message], ['terminated', 'enough']);
    await until('the step to end', () => (call.ended === 'running' ? undefined : true));
  });

  test('a reset training starts its step again and ends well', async () => {
    const run = await start(inTurn(hanging(), TRAINED));
    await run.started('train');
    const event = (await run.history()).events?.find(
      (one) => one.workflowTaskCompletedEventAttributes != null,
    );
    const { workflowId, handle } = run;
    await stage.client.workflowService.resetWorkflowExecution({
      ...{ namespace: 'default', workflowExecution: { workflowId }, requestId: workflowId, reason: 'test' },
      workflowTaskFinishEventId: event?.eventId,
    });
    assert.equal((await run.result<TrainOutcome>()).failedAttempts, 0);
    assert.equal(run.callsOf('train').length, 2);
    assert.equal((await handle.describe()).status.name, 'COMPLETED');
  });

  test('a paused training takes its next attempt up when it is unpaused', async () => {
    const run = await start(inTurn(failing('ENGINE_CRASHED'), TRAINED));
    await run.started('train');
    const paused = await stage.server.temporal('workflow', 'pause', '-w', run.workflowId);
    assert.equal(paused.code, 0, paused.output);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(run.callsOf('train').length, 1, 'the second attempt is not scheduled');
    const again = await stage.server.temporal('workflow', 'unpause', '-w', run.workflowId);
    assert.equal(again.code, 0, again.output);
    assert.equal((await run.result<TrainOutcome>()).failedAttempts, 1);
  });
});

/** Pipelines: order, permits, failures, cancellation and sizes, on a real server with scripted steps. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { MAX_PAYLOAD_BYTES } from '../../../schemas/plan/constants.ts';
import type { JsonValue } from '../../../schemas/common/json.ts';
import {
  answer,
  crashing,
  failing,
  failingFor,
  Gate,
  hanging,
  inTurn,
  oversize,
  silent,
  stubborn,
  when,
  type Behaviour,
} from '../support/behaviours.ts';
import { until } from '../../whole/support/processes.ts';
import { ABSENT_KIND } from '../support/kinds.ts';
import { Stage } from '../support/stage.ts';
import type { StagedRun } from '../support/staged-run.ts';

interface NodeOptions {
  readonly uses?: string;
  readonly with?: unknown;
  readonly after?: readonly string[];
}

const step = (id: string, { uses = 'test.readonly@1', ...more }: NodeOptions = {}) => ({
  ...{ id, form: 'step', uses },
  ...more,
});

const millisecondsOf = (time: { seconds?: unknown; nanos?: number | null }): number =>
  Number(time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6;

suite('pipelines', { concurrency: 4 }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('interpreter');
  });
  after(() => stage.close());

  const start = async (
    nodes: readonly unknown[],
    steps: Readonly<Record<string, Behaviour>> = {},
    inputs: Readonly<Record<string, JsonValue>> = {},
  ): Promise<StagedRun> =>
    await stage.start('runPipeline', [{ name: 'staged', inputs, nodes }], {
      steps: { '*': answer({ rows: 1 }), ...steps },
    });

  test('a node starts when those it needs have finished, and gets their outputs', async () => {
    const gate = new Gate();
    const run = await start(
      [
        step('last', {
          with: { from: '${nodes.middle.output.value}', also: '${inputs.word}' },
          after: ['side'],
        }),
        step('middle', { with: { rows: '${nodes.first.output.rows}' } }),
        step('first'),
        step('side'),
      ],
      { 'pipeline/middle': answer({ value: 7 }), 'pipeline/side': when(gate, answer({})) },
      { word: 'hello' },
    );
    await run.started('pipeline/middle');
    assert.equal(run.callsOf('pipeline/last').length, 0);
    gate.open();
    assert.deepEqual(await run.result(), {
      first: { rows: 1 },
      side: {},
      middle: { value: 7 },
      last: { rows: 1 },
    });
    assert.deepEqual(run.callsOf('pipeline/middle')[0]?.input, { rows: 1 });
    assert.deepEqual(run.callsOf('pipeline/last')[0]?.input, { from: 7, also: 'hello' });
  });

  test('eight steps run at once, and the others in the order of the plan', async () => {
    const gate = new Gate();
    const ids = Array.from({ length: 12 }, (_, at) => `s${at}`);
    const run = await start(
      ids.map((id) => step(id)),
      { '*': when(gate, answer({})) },
    );
    for (const id of ids.slice(0, 8)) await run.started(`pipeline/${id}`);
    assert.equal(run.calls.length, 8);
    gate.open();
    await run.result();
    assert.equal(run.mostAtOnce, 8);
    assert.deepEqual(new Set(run.calls.map(({ activityId }) => activityId)).size, 12);
  });

  test('a failing branch cancels its siblings and waits for them', async () => {
    const gate = new Gate();
    const fails = new Gate();
    const run = await start(
      [step('bad'), step('heedful'), step('deaf'), step('never', { after: ['heedful'] })],
      {
        'pipeline/bad': when(fails, failing('DATA_UNREADABLE', 'line 7')),
        'pipeline/heedful': hanging(),
        'pipeline/deaf': stubborn(gate),
      },
    );
    await run.started('pipeline/heedful');
    await run.started('pipeline/deaf');
    fails.open();
    const [heedful] = run.callsOf('pipeline/heedful');
    while (heedful?.ended === 'running') await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(heedful?.ended, 'cancelled');
    assert.equal((await run.handle.describe()).status.name, 'RUNNING', 'one sibling is still at work');
    gate.open();
    const { code, message } = await run.failure();
    assert.deepEqual([code, message], ['DATA_UNREADABLE', 'line 7']);
    assert.equal(run.callsOf('pipeline/never').length, 0);
  });

  test('a cancelled run ends as cancelled, after its steps have ended', async () => {
    const run = await start([step('long'), step('next', { after: ['long'] })], {
      'pipeline/long': hanging(),
    });
    const call = await run.started('pipeline/long');
    await run.handle.cancel();
    assert.equal((await run.failure()).as, 'cancelled');
    assert.equal(call.ended, 'cancelled');
    assert.equal(run.callsOf('pipeline/next').length, 0);
  });

  test('a map runs its body for each item, a few at once, and keeps their order', async () => {
    const gate = new Gate();
    const items = ['a', 'b', 'c', 'd', 'e'];
    const run = await start(
      [
        {
          ...{ id: 'each', form: 'map', over: '${inputs.items}', concurrency: 2 },
          body: [
            step('one', { with: { item: '${item}' } }),
            step('two', { with: { of: '${nodes.one.output.is}' } }),
          ],
        },
      ],
      {
        '*': async (call) => {
          await gate.opened;
          return { output: { is: call.input['item'] ?? call.input['of'] ?? null } };
        },
      },
      { items },
    );
    // The two come in any order.
    for (const at of [0, 1]) await run.started(`pipeline/each/${at}/one`);
    assert.equal(run.calls.length, 2);
    gate.open();
    const outputs = await run.result<{ each: unknown }>();
    assert.deepEqual(
      outputs.each,
      items.map((is) => ({ one: { is }, two: { is } })),
    );
    assert.ok(run.mostAtOnce <= 2, `${run.mostAtOnce} at once`);
  });

  test('a map over too much is refused where its items are known', async () => {
    const map = { id: 'each', form: 'map', over: '${nodes.list.output.items}', body: [step('one')] };
    const cases: [JsonValue, RegExp][] = [
      ['text', /pipeline\/each needs a list of at most 64 items, not string/],
      [Array.from({ length: 65 }, () => 1), /not 65 items/],
    ];
    for (const [items, message] of cases) {
      const run = await start([step('list'), map], { 'pipeline/list': answer({ items }) });
      const failure = await run.failure();
      assert.equal(failure.code, 'INVALID_SPEC');
      assert.match(failure.message, message);
    }
  });

  test('plans that would outgrow a history are refused, by the spec or when items are known', async () => {
    const body = Array.from({ length: 50 }, (_, at) => step(`s${at}`));
    const known = Array.from({ length: 2 }, (_, at) => ({
      ...{ id: `m${at}`, form: 'map', body, over: Array.from({ length: 64 }, () => 1) },
    }));
    const gate = { id: 'gate', form: 'approval', title: 'Continue?', subject: 1 };
    const early = await (await start([...known, gate])).failure();
    assert.equal(early.code, 'INVALID_SPEC');
    assert.match(
      early.message,
      /nodes.*comes to 6402 steps \(3 nodes, 1 of them approvals; the largest is m0 with 3200 steps\)/s,
    );
    const later = Array.from({ length: 2 }, (_, at) => ({
      ...{ id: `m${at}`, form: 'map', body, over: '${nodes.list.output.items}' },
    }));
    const run = await start([step('list'), ...later], {
      'pipeline/list': answer({ items: Array.from({ length: 64 }, () => 1) }),
      '*': hanging(),
    });
    const late = await run.failure();
    assert.equal(late.code, 'INVALID_SPEC');
    assert.match(late.message, /Map pipeline\/m1: 64 items of 50 steps bring the plan to 6401 steps/);
  });

  test('inputs that the server would refuse are refused before, with node and size', async () => {
    const half = Math.round(MAX_PAYLOAD_BYTES * 0.6);
    const both = { a: '${nodes.a.output.text}', b: '${nodes.b.output.text}' };
    const sources = [step('a'), step('b')];
    const cases: [unknown, RegExp][] = [
      [step('sum', { with: both }), /^pipeline\/sum: what the step is given has 4\d{5} bytes/],
      [
        { id: 'each', form: 'map', over: [1], body: [step('sum', { with: both })] },
        /^pipeline\/each\/0\/sum: what the step is given/,
      ],
      [
        { id: 'ask', form: 'approval', title: 'Continue?', subject: both },
        /^pipeline\/ask: the subject of the approval has/,
      ],
    ];
    for (const [node, message] of cases) {
      const run = await start([...sources, node], { '*': oversize(half) });
      const failure = await run.failure();
      assert.equal(failure.code, 'PAYLOAD_TOO_LARGE');
      assert.match(failure.message, message);
    }
  });

  test('eight of the largest inputs fit one Workflow Task', async () => {
    const largest = MAX_PAYLOAD_BYTES - 100;
    const ids = Array.from({ length: 8 }, (_, at) => `s${at}`);
    const run = await start(
      [
        step('source'),
        ...ids.map((id) => step(id, { with: { text: '${nodes.source.output.text}' } })),
        {
          id: 'ask',
          form: 'approval',
          title: 'Continue?',
          subject: '${nodes.source.output.text}',
          timeoutSeconds: 600,
        },
      ],
      { 'pipeline/source': oversize(largest) },
    );
    await run.answer('pipeline/ask', 'approve');
    assert.equal(Object.keys(await run.result<object>()).length, 10);
  });

  test('a result that the server would refuse ends the run with the largest node', async () => {
    const ids = Array.from({ length: 5 }, (_, at) => `s${at}`);
    const run = await start(
      ids.map((id) => step(id)),
      { '*': oversize(MAX_PAYLOAD_BYTES - 1000), 'pipeline/s3': oversize(MAX_PAYLOAD_BYTES - 500) },
    );
    const { code, message } = await run.failure();
    assert.equal(code, 'PAYLOAD_TOO_LARGE');
    assert.match(
      message,
      /result of the pipeline.*largest output is that of s3, 39\d{4} bytes.*has 19\d{5} bytes/,
    );
  });

  test('what fails is tried again as its kind and its code allow', async () => {
    const again = inTurn(failing('ENGINE_IO'), answer({}));
    const run = await start([step('reads'), step('lost')], {
      'pipeline/reads': again,
      'pipeline/lost': inTurn(silent(), answer({})),
    });
    await run.result();
    assert.deepEqual([run.callsOf('pipeline/reads').length, run.callsOf('pipeline/lost').length], [2, 2]);
    const paid = await start([step('paid', { uses: 'test.billable@1' })], {
      '*': failing('ENGINE_IO', 'disk'),
    });
    assert.equal((await paid.failure()).message, 'disk');
    assert.equal(paid.calls.length, 2);
  });

  test('the next attempt comes when the failure asks for it', async () => {
    const startedMs: number[] = [];
    const timed: Behaviour = async (call) => {
      startedMs.push(Date.now());
      return await inTurn(failingFor(3000), answer({}))(call);
    };
    const short = await start([step('asks', { uses: 'test.billable@1' })], { '*': timed });
    await short.result();
    const [first = 0, second = 0] = startedMs;
    assert.ok(second - first >= 3000, `tried again after ${second - first} ms; the usual wait is 1000`);
    const long = await start([step('asks')], { '*': failingFor(60_000) });
    await long.started('pipeline/asks');
    const waitMs = await until('the wait', async () => {
      const [pending] = (await long.handle.describe()).raw.pendingActivities ?? [];
      const { lastAttemptCompleteTime: ended, nextAttemptScheduleTime: next } = pending ?? {};
      if (ended == null || next == null) return undefined;
      return millisecondsOf(next) - millisecondsOf(ended);
    });
    assert.ok(Math.abs(waitMs - 60_000) < 1000, `the next attempt is scheduled after ${waitMs} ms`);
    await long.handle.cancel();
    assert.equal((await long.failure()).as, 'cancelled');
  });

  test('a step is scheduled on the queue of its resource class', async () => {
    const kinds = { readonly: 'cpu', device: 'gpu', service: 'io' };
    const run = await start(Object.keys(kinds).map((kind) => step(kind, { uses: `test.${kind}@1` })));
    await run.result();
    const queues = ((await run.history()).events ?? []).flatMap((event) => {
      const { activityId, taskQueue } = event.activityTaskScheduledEventAttributes ?? {};
      return activityId?.startsWith('pipeline/') === true ? [[activityId, taskQueue?.name]] : [];
    });
    assert.deepEqual(
      queues,
      Object.entries(kinds).map(([kind, name]) => [`pipeline/${kind}`, `${stage.taskQueue}-${name}`]),
    );
  });

  test('no kind is tried without end', async () => {
    const most = { readonly: 12, idempotentwrite: 12, resumable: 200, billable: 2 };
    const run = await start(Object.keys(most).map((kind) => step(kind, { uses: `test.${kind}@1` })));
    await run.result();
    const scheduled = ((await run.history()).events ?? []).flatMap((event) => {
      const { activityId, retryPolicy } = event.activityTaskScheduledEventAttributes ?? {};
      return activityId?.startsWith('pipeline/') === true ? [[activityId, retryPolicy?.maximumAttempts]] : [];
    });
    assert.deepEqual(
      scheduled,
      Object.entries(most).map(([kind, attempts]) => [`pipeline/${kind}`, attempts]),
    );
  });

  test('an error without a code is a bug: a few attempts, and a code of its own', async () => {
    const run = await start([step('bug')], { '*': crashing(new RangeError('Invalid array length')) });
    const { code, message } = await run.failure();
    assert.deepEqual([code, message], ['INTERNAL', 'Unexpected RangeError: Invalid array length']);
    assert.equal(run.calls.length, 3);
  });

  test('a kind that no worker has is final, with its name', async () => {
    const run = await start([step('absent', { uses: ABSENT_KIND })]);
    const { code, message } = await run.failure();
    assert.equal(code, 'STEP_KIND_UNKNOWN');
    assert.match(message, /knows "test\.absent@1": start it with the plugin/);
  });
});

/** Pipelines that outgrow a history, on a real server that suggests early to continue as new. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { Worker } from '@temporalio/worker';
import type { Approval } from '../../../schemas/outcome/approval.ts';
import { answer, failing, Gate, hanging, when, type Behaviour } from '../support/behaviours.ts';
import { bundledWorkflows } from '../support/bundle.ts';
import { Stage } from '../support/stage.ts';
import type { StagedRun } from '../support/staged-run.ts';

/** Events after which the server suggests it; a step takes four to six. */
const SUGGEST_AT = 60;

const step = (id: string, more: object = {}) => ({ id, form: 'step', uses: 'test.readonly@1', ...more });
const names = (count: number, prefix: string) => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

/** One after the other, each with the output of the one before. */
const chain = (count: number) =>
  names(count, 'c').map((id, at) =>
    step(id, at === 0 ? {} : { with: { before: `\${nodes.c${at - 1}.output.name}` } }),
  );

/** A list, a map over it with two steps for each item, and a chain beside it. */
const WIDE = [
  step('list'),
  {
    ...{ id: 'each', form: 'map', over: '${nodes.list.output.items}', concurrency: 4 },
    body: [step('a', { with: { item: '${item}' } }), step('b', { with: { from: '${nodes.a.output.name}' } })],
  },
  ...chain(10),
  step('last', { with: { all: '${nodes.each.output}' }, after: ['c9'] }),
];

/** Says who it is and what it got. */
const echo: Behaviour = async ({ activityId, input }) => ({ output: { name: activityId, input } });

suite('pipelines that continue as new', { concurrency: 4 }, () => {
  let plain: Stage;
  let early: Stage;

  before(async () => {
    plain = await Stage.open('one-history');
    early = await Stage.open('many-histories', { 'limit.historyCount.suggestContinueAsNew': SUGGEST_AT });
  });
  after(async () => {
    await early.close();
    await plain.close();
  });

  const start = async (
    stage: Stage,
    nodes: readonly unknown[],
    steps: Readonly<Record<string, Behaviour>> = {},
  ): Promise<StagedRun> =>
    await stage.start('runPipeline', [{ name: 'long', nodes }], {
      steps: { '*': echo, 'pipeline/list': answer({ items: names(12, 'item') }), ...steps },
    });

  test('the result is that of one run; every step ran once, and all share what the chain keeps', async () => {
    const [one, many] = [await start(plain, WIDE), await start(early, WIDE)];
    assert.deepEqual(await many.result(), await one.result());
    assert.equal(one.runIds.length, 1);
    assert.ok(many.runIds.length >= 3, `${many.runIds.length} runs`);
    const called = (run: StagedRun) => run.calls.map(({ activityId }) => activityId).sort();
    assert.deepEqual(called(many), called(one));
    assert.equal(new Set(called(many)).size, 36, 'no step ran twice');
    const [first] = many.runIds;
    assert.deepEqual([...new Set(many.calls.map(({ firstRunId }) => firstRunId))], [first]);
    assert.match(await many.details(), /`pipeline\/last` 0\.0 s/);
    // Whoever holds the handle of the first run gets the end of the last one.
    const begun = early.client.workflow.getHandle(many.workflowId, first, {
      firstExecutionRunId: first ?? '',
    });
    assert.deepEqual(await begun.result(), await many.result());
  });

  test('a step that fails in a later run ends the chain with its code', async () => {
    const run = await start(early, chain(30), { 'pipeline/c27': failing('ENGINE_REQUEST_INVALID') });
    const { code, message } = await run.failure();
    assert.deepEqual([code, message], ['ENGINE_REQUEST_INVALID', 'scripted ENGINE_REQUEST_INVALID']);
    assert.ok(run.runIds.length >= 3);
  });

  test('a later run is cancelled as any other', async () => {
    const run = await start(early, chain(30), { 'pipeline/c27': hanging() });
    const call = await run.started('pipeline/c27');
    assert.ok(run.runIds.length >= 3);
    await run.handle.cancel();
    assert.equal((await run.failure()).as, 'cancelled');
    assert.equal(call.ended, 'cancelled');
    assert.deepEqual(run.callsOf('pipeline/c28'), []);
  });

  test('a run in which a person is asked does not continue before the answer; records go along', async () => {
    const ask = (id: string, needs: string) => ({
      ...{ id, form: 'approval', title: `May ${id} be?`, subject: `\${nodes.${needs}.output.name}` },
    });
    const gate = new Gate();
    const nodes = [
      ask('first', 'c0'),
      ask('second', 'c29'),
      ...chain(30),
      step('end', { after: ['second'] }),
    ];
    const run = await start(early, nodes, { 'pipeline/c25': when(gate, echo) });
    const first = await run.asked('pipeline/first');
    await run.started('pipeline/c25');
    assert.equal(run.runIds.length, 1, 'the question holds the run, the steps continue');
    assert.deepEqual(await run.query<readonly Approval[]>('approvals'), [first]);
    await run.answer('pipeline/first', 'approve', { by: 'me' });
    gate.open();
    await run.started('pipeline/c29');
    const second = await run.asked('pipeline/second');
    assert.ok(run.runIds.length >= 2);
    assert.match(await run.details(), new RegExp(second.digest));
    await assert.rejects(
      run.handle.executeUpdate('approve', {
        args: [{ id: first.id, digest: first.digest, verdict: 'approve' }],
      }),
      (error: Error) =>
        /No approval "pipeline\/first" is pending here\. Pending: pipeline\/second\./.test(
          String(error.cause),
        ),
    );
    await run.answer('pipeline/second', 'approve', { comment: 'well done' });
    const outputs = await run.result<Record<string, { verdict?: string; by?: string; comment?: string }>>();
    assert.deepEqual([outputs['first']?.verdict, outputs['first']?.by], ['approve', 'me']);
    assert.equal(outputs['second']?.comment, 'well done');
  });

  test('a state too large for one call goes by way of the store', async () => {
    const large: Behaviour = async ({ activityId }) => ({
      output: { name: activityId, text: '“ü\n'.repeat(6000) },
    });
    const run = await start(early, chain(24), { '*': large });
    const outputs = await run.result<Record<string, { text: string }>>();
    assert.ok(run.runIds.length >= 2);
    assert.equal(Object.keys(outputs).length, 24);
    assert.equal(new Set(run.calls.map(({ activityId }) => activityId)).size, run.calls.length);
    for (const { text } of Object.values(outputs)) assert.equal(text, '“ü\n'.repeat(6000));
    const history = await run.history();
    const types = history.events?.map((one) => one.activityTaskScheduledEventAttributes?.activityType?.name);
    assert.ok((types ?? []).includes('readText'));
    await Worker.runReplayHistory({ workflowBundle: await bundledWorkflows() }, history, run.workflowId);
  });

  test('whoever starts a run cannot send it a state', async () => {
    const spec = { name: 'forged', nodes: chain(1) };
    const run = await early.start('runPipeline', [spec, { state: { value: {} } }], { steps: { '*': echo } });
    const { code, message } = await run.failure();
    assert.equal(code, 'INVALID_SPEC');
    assert.match(message, /A run takes one argument, its spec/);
    const none = await early.start('runPipeline', [spec, null], { steps: { '*': echo } });
    assert.deepEqual(Object.keys(await none.result<object>()), ['c0']);
  });
});

/** Approvals in pipelines: every ending, side by side, and what becomes of questions that nobody needs any more. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { EscadaClient } from '../../../client.ts';
import { after, before, suite, test } from 'node:test';
import { answerRun, queryRun } from '../../../client/query-run.ts';
import type { Approval, ApprovalRecord } from '../../../schemas/outcome/approval.ts';
import { answer, failing, Gate, hanging, when, type Behaviour } from '../support/behaviours.ts';
import { Stage } from '../support/stage.ts';
import type { StagedRun } from '../support/staged-run.ts';

const ask = (id: string, more: object = {}) => ({
  ...{ id, form: 'approval', title: `Continue with ${id}?`, subject: { about: id } },
  ...more,
});
const step = (id: string, more: object = {}) => ({ id, form: 'step', uses: 'test.readonly@1', ...more });

suite('approvals', { concurrency: 4 }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('approvals');
  });
  after(() => stage.close());

  const start = async (
    nodes: readonly unknown[],
    steps: Readonly<Record<string, Behaviour>> = {},
  ): Promise<StagedRun> =>
    await stage.start('runPipeline', [{ name: 'staged', nodes }], { steps: { '*': answer({}), ...steps } });

  test('what is approved continues, and the answer is the node’s output', async () => {
    const run = await start([ask('look'), step('next', { after: ['look'] })]);
    const { subject } = await run.asked('pipeline/look');
    assert.deepEqual(await stage.store.readJson(subject), { about: 'look' });
    assert.equal(run.calls.length, 0);
    assert.match(await run.details(), /"id": "pipeline\/look"/);
    await run.answer('pipeline/look', 'approve', { by: 'Ida', comment: 'Yes.' });
    const { look } = await run.result<{ look: ApprovalRecord }>();
    assert.deepEqual([look.verdict, look.by, look.comment], ['approve', 'Ida', 'Yes.']);
    assert.doesNotMatch(await run.details(), /Waiting for your approval/);
  });

  test('what is rejected fails, with who and why', async () => {
    const run = await start([ask('look'), step('next', { after: ['look'] })]);
    await run.answer('pipeline/look', 'reject', { by: 'Ida', comment: 'Old rows.' });
    const { code, message } = await run.failure();
    assert.deepEqual(
      [code, message],
      ['APPROVAL_REJECTED', 'pipeline/look: "Continue with look?" was rejected by Ida. Old rows.'],
    );
    assert.equal(run.calls.length, 0);
  });

  test('what nobody answers in time fails', async () => {
    const run = await start([ask('look', { timeoutSeconds: 1 })]);
    const { code, message } = await run.failure();
    assert.equal(code, 'APPROVAL_TIMED_OUT');
    assert.match(message, /nobody answered "Continue with look\?" within 1 s/);
  });

  test('several wait side by side, each with an answer of its own, while steps continue', async () => {
    const run = await start([ask('a'), ask('b'), ask('c'), step('side'), step('next', { after: ['b'] })]);
    for (const id of ['a', 'b', 'c']) await run.asked(`pipeline/${id}`);
    await run.started('pipeline/side');
    await run.answer('pipeline/b', 'approve', { by: 'second' });
    await run.started('pipeline/next');
    const open = await run.query<readonly Approval[]>('approvals');
    assert.deepEqual(open.map(({ id }) => id).sort(), ['pipeline/a', 'pipeline/c']);
    await run.answer('pipeline/c', 'approve', { by: 'third' });
    await run.answer('pipeline/a', 'approve', { by: 'first' });
    const outputs = await run.result<Record<'a' | 'b' | 'c', ApprovalRecord>>();
    assert.deepEqual([outputs.a.by, outputs.b.by, outputs.c.by], ['first', 'second', 'third']);
  });

  test('a question that a failing branch has cancelled is shown no more and cannot be answered', async () => {
    const [fails, ends] = [new Gate(), new Gate()];
    const run = await start([ask('look'), step('bad'), step('late')], {
      'pipeline/bad': when(fails, failing('DATA_UNREADABLE', 'line 7')),
      'pipeline/late': async (call) => {
        // Keeps the run open after the branch has failed.
        await hanging()(call).catch(() => undefined);
        await ends.opened;
        return { output: {} };
      },
    });
    const { digest } = await run.asked('pipeline/look');
    const late = await run.started('pipeline/late');
    fails.open();
    while ((await run.query<readonly Approval[]>('approvals')).length > 0)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(late.ended, 'running');
    assert.doesNotMatch(await run.details(), /Waiting for your approval|"pipeline\/look"/);
    await assert.rejects(
      answerRun(stage.client, run.workflowId, { id: 'pipeline/look', digest, verdict: 'approve' }),
      { code: 'APPROVAL_UNKNOWN' },
    );
    ends.open();
    assert.equal((await run.failure()).code, 'DATA_UNREADABLE');
  });

  test('an answer about something else, of the wrong shape, or a second one is refused', async () => {
    const run = await start([ask('look'), ask('other')]);
    const { digest } = await run.asked('pipeline/look');
    await run.asked('pipeline/other');
    const good = { id: 'pipeline/look', digest, verdict: 'approve' } as const;
    for (const [wrong, code] of [
      [{ ...good, digest: 'f'.repeat(64) }, 'APPROVAL_STALE'],
      [{ ...good, id: 'pipeline/none' }, 'APPROVAL_UNKNOWN'],
      [{ ...good, verdict: 'yes' }, 'APPROVAL_INVALID'],
      [[good], 'APPROVAL_INVALID'],
    ] as const)
      await assert.rejects(answerRun(stage.client, run.workflowId, wrong as never), { code });
    await answerRun(stage.client, run.workflowId, good);
    await assert.rejects(answerRun(stage.client, run.workflowId, good), { code: 'APPROVAL_UNKNOWN' });
    await run.handle.cancel();
    assert.equal((await run.failure()).as, 'cancelled');
  });

  test('without a worker an answer and a question end in time', async () => {
    const workflowId = `nobody-${randomBytes(4).toString('hex')}`;
    await stage.client.workflow.start('runPipeline', {
      workflowId,
      taskQueue: 'nobody-polls-this',
      args: [{}],
    });
    const approve = { id: 'x', digest: 'f'.repeat(64), verdict: 'approve' } as const;
    const late = { code: 'RUN_UNRESPONSIVE', message: /No worker answered for "nobody-/ };
    await assert.rejects(answerRun(stage.client, workflowId, approve, 1000), late);
    await assert.rejects(queryRun(stage.client, workflowId, 'approvals', 1000), late);
  });

  test('a client that is closed gives up its wait for a run, and nothing calls on the closed connection', async () => {
    const workflowId = `waited-for-${randomBytes(4).toString('hex')}`;
    const start = { workflowId, taskQueue: 'nobody-polls-this', args: [{}] };
    await stage.client.workflow.start('adaptModel', start);
    const client = await EscadaClient.connect();
    const result = client.result(workflowId);
    await pause(500);
    const refused = assert.rejects(result);
    await client.close();
    await refused;
    // A call that is tried again later would end this process with an uncaught exception.
    await pause(1500);
  });
});

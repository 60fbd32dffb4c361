/** A ladder that outgrows a history, on a real server that suggests early to continue as new; only steps are scripted. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Worker } from '@temporalio/worker';
import { EscadaClient } from '../../../client.ts';
import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome, DecisionRecord, Progress } from '../../../schemas/outcome/decision.ts';
import type { AdaptationPlan } from '../../../schemas/plan/adaptation-plan.ts';
import { failing, Gate, hanging, when, type Behaviour } from '../support/behaviours.ts';
import { bundledWorkflows } from '../support/bundle.ts';
import { compiledWith, withBudget } from '../support/compiled.ts';
import { answering, ladderSpec, ladderSteps } from '../support/ladder.ts';
import type { StagedRun } from '../support/staged-run.ts';
import { Stage } from '../support/stage.ts';

/** Events after which the server suggests it; the whole ladder takes some two hundred. */
const SUGGEST_AT = 30;

/** Rungs whose plans alone take more than that. */
const RUNGS: AdaptationSpecInput['rungs'] = {
  icl: { recipes: [1, 2, 3].map((shots) => ({ shots, selection: 'random' as const })) },
  peft: { learningRates: [1e-3] },
};

/** Without what depends on the clock or on the run. */
function timeless(outcome: AdaptationOutcome): unknown {
  const path = outcome.path.map(({ comparisons, ...step }) => ({
    ...step,
    comparisons: comparisons.map((one) => (one.fact === 'budget.secondsLeft' ? { ...one, left: 0 } : one)),
  }));
  const text = JSON.stringify({ ...outcome, path }, (name, member: unknown) =>
    /^(workflowId|seconds|report|budget\.secondsLeft)$/.test(name) ? undefined : member,
  );
  return JSON.parse(text);
}

suite('a ladder that continues as new', { concurrency: 4 }, () => {
  let plain: Stage;
  let early: Stage;

  before(async () => {
    plain = await Stage.open('one-ladder');
    early = await Stage.open('ladder-in-parts', { 'limit.historyCount.suggestContinueAsNew': SUGGEST_AT });
    for (const stage of [plain, early]) await stage.writeData('rows.csv', 'input,output\n');
  });
  after(async () => {
    await early.close();
    await plain.close();
  });

  const start = async (
    stage: Stage,
    scripted: Readonly<Record<string, Behaviour>> = {},
    spec: Partial<AdaptationSpecInput> = {},
    change: (plan: AdaptationPlan) => AdaptationPlan = (plan) => plan,
  ): Promise<StagedRun> =>
    await stage.adapt(ladderSpec({ rungs: RUNGS, ...spec }), {
      steps: { ...(await ladderSteps(stage)), ...scripted },
      control: compiledWith(stage, change),
    });

  const pair = async (
    scripted: (stage: Stage) => Readonly<Record<string, Behaviour>>,
    change?: (plan: AdaptationPlan) => AdaptationPlan,
  ): Promise<readonly [AdaptationOutcome, AdaptationOutcome, StagedRun]> => {
    const one = await start(plain, scripted(plain), {}, change);
    const many = await start(early, scripted(early), {}, change);
    const outcomes = [await one.result<AdaptationOutcome>(), await many.result<AdaptationOutcome>()] as const;
    assert.equal(one.runIds.length, 1);
    assert.ok(many.runIds.length >= 3, `${many.runIds.length} runs`);
    const called = (run: StagedRun) => run.calls.map(({ activityId }) => activityId).sort();
    assert.deepEqual(called(many), called(one), 'the same steps, none twice');
    return [...outcomes, many];
  };

  test('decision, records, path, facts and test scores are those of one run', async () => {
    const [one, many, run] = await pair((stage) => ({
      'icl/recipes/2/answers': answering(stage, 0.8),
      'peft/answers': answering(stage, 1),
      'test/peft/answers': answering(stage, 1),
    }));
    assert.deepEqual([many.decision.rung, many.decision.verdict], ['peft', 'target-met']);
    assert.deepEqual(timeless(many), timeless(one));
    assert.ok(many.seconds > 0 && many.rungs.every(({ seconds }) => seconds > 0));
    const [first] = run.runIds;
    assert.deepEqual([...new Set(run.calls.map(({ firstRunId }) => firstRunId))], [first]);
    const { finished, phase } = await run.query<Progress>('progress');
    assert.deepEqual([phase, finished.length], ['done', run.calls.length]);
    assert.deepEqual(await run.query<DecisionRecord[]>('decisions'), many.rungs);
  });

  test('clients, lists and the store see one run: the whole chain', async () => {
    const run = await start(early);
    const client = new EscadaClient(early.client, { taskQueue: early.taskQueue });
    const outcome = await client.result(run.workflowId);
    assert.ok(run.runIds.length >= 3);
    assert.deepEqual(outcome, await run.result());
    assert.deepEqual(await client.decisions(run.workflowId), outcome.rungs);
    const [first = ''] = run.runIds;
    const firstRun = await early.client.workflow.getHandle(run.workflowId, first).describe();
    const { runId, memo } = await client.describe(run.workflowId);
    assert.notEqual(runId, first);
    assert.deepEqual(memo, firstRun.memo);
    // A worker that has forgotten all of them can take up any run.
    const workflowBundle = await bundledWorkflows();
    for (const id of run.runIds) {
      const history = await early.client.workflow.getHandle(run.workflowId, id).fetchHistory();
      await Worker.runReplayHistory({ workflowBundle }, history, run.workflowId);
    }
    // Control activities of every run keep what they refer to in the folder of the chain.
    const folders = await Promise.all(
      (await readdir(join(early.store.root, 'runs'))).map(async (name) => {
        const text = await readFile(join(early.store.root, 'runs', name, 'run.json'), 'utf8').catch(
          () => '{}',
        );
        return JSON.parse(text) as { readonly workflowId?: string; readonly firstRunId?: string };
      }),
    );
    const own = folders.filter(({ workflowId }) => workflowId === run.workflowId);
    assert.deepEqual(
      own.map(({ firstRunId }) => firstRunId),
      [first],
    );
  });

  test('a rung that fails, and one that a budget of tokens cuts off, end in a later run as in one', async () => {
    const [failedOne, failedMany] = await pair((stage) => ({
      'icl/recipes/2/score': failing('ENGINE_REQUEST_INVALID'),
      'peft/answers': answering(stage, 1),
    }));
    assert.deepEqual(
      failedMany.rungs.map(({ outcome }) => outcome),
      ['measured', 'failed', 'measured'],
    );
    assert.deepEqual(timeless(failedMany), timeless(failedOne));
    const tokens = withBudget({ seconds: 36_000, tokens: 16 * 11 * 4 - 1 });
    const cut = await start(early, {}, {}, tokens);
    const { rungs } = await cut.result<AdaptationOutcome>();
    assert.deepEqual(
      rungs.map(({ outcome }) => outcome),
      ['measured', 'cut-off'],
    );
    assert.ok(cut.runIds.length >= 2);
  });

  test('queries answer the same before and after; what is cancelled later is cancelled', async () => {
    const gate = new Gate();
    const run = await start(early, {
      'icl/recipes/0/answers': when(gate, answering(early, 0.5)),
      'peft/answers': hanging(),
    });
    await run.started('icl/recipes/0/answers');
    const before = await run.query<Progress>('progress');
    const decided = await run.query<readonly DecisionRecord[]>('decisions');
    const runs = run.runIds.length;
    gate.open();
    const call = await run.started('peft/answers');
    assert.ok(run.runIds.length > runs, 'it has continued meanwhile');
    const progress = await run.query<Progress>('progress');
    assert.deepEqual(progress.finished.slice(0, before.finished.length), before.finished);
    assert.deepEqual([progress.phase, progress.rung], ['ladder', 'peft']);
    assert.equal(progress.budgetSeconds, before.budgetSeconds);
    assert.ok(progress.secondsElapsed >= before.secondsElapsed);
    const decisions = await run.query<readonly DecisionRecord[]>('decisions');
    assert.deepEqual(decisions.slice(0, decided.length), decided);
    assert.deepEqual(
      decisions.map(({ rung }) => rung),
      ['zero-shot', 'icl'],
    );
    assert.match(await run.details(), /rung `peft`/);
    await run.handle.cancel();
    assert.equal((await run.failure()).as, 'cancelled');
    assert.equal(call.ended, 'cancelled');
    assert.equal((await run.query<Progress>('progress')).phase, 'cancelled');
  });

  test('approvals are asked and answered in any run; the outcome has all of them', async () => {
    const run = await start(
      early,
      { 'peft/answers': answering(early, 1), 'test/peft/answers': answering(early, 1) },
      { approvals: { rungs: ['icl', 'peft'], release: true } },
    );
    await run.answer('approve-icl', 'approve', { by: 'Ada' });
    await run.answer('approve-peft', 'approve');
    await run.answer('release', 'reject', { by: 'Bo', comment: 'not yet' });
    const { decision, approvals } = await run.result<AdaptationOutcome>();
    assert.equal(decision.verdict, 'release-rejected');
    assert.match(decision.reason, /Release rejected by Bo\. not yet$/);
    assert.deepEqual(
      approvals.map(({ id, verdict, by }) => [id, verdict, by]),
      [
        ['approve-icl', 'approve', 'Ada'],
        ['approve-peft', 'approve', ''],
        ['release', 'reject', 'Bo'],
      ],
    );
    assert.ok(run.runIds.length >= 3, `${run.runIds.length} runs`);
  });

  test('whoever starts a run cannot send it a state', async () => {
    const run = await early.start('adaptModel', [ladderSpec(), { position: { value: {} } }]);
    const { code, message } = await run.failure();
    assert.equal(code, 'INVALID_SPEC');
    assert.match(message, /A run takes one argument, its spec/);
  });
});

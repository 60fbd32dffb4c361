/** Rungs and finalists that fail or are cut off, with real judging, deciding and reporting; only steps are scripted. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { AdaptationOutcome, DecisionRecord, Progress } from '../../../schemas/outcome/decision.ts';
import { INTERPRETER_VERSION } from '../../../schemas/plan/constants.ts';
import type { AdaptationPlan } from '../../../schemas/plan/adaptation-plan.ts';
import { explainError } from '../../../cli/lib/explain.ts';
import { crashing, failing, hanging, silent, type Behaviour } from '../support/behaviours.ts';
import { compiledWith, withBudget, withRung, withSteps } from '../support/compiled.ts';
import { answering, ladderSpec, ladderSteps } from '../support/ladder.ts';
import type { StagedRun } from '../support/staged-run.ts';
import { Stage } from '../support/stage.ts';

/** Few attempts, whose silence is noticed soon. */
const FEW = { retry: 'billable', heartbeatTimeoutMs: 1000 } as const;

suite('a ladder whose rungs fail', { concurrency: 3 }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('failing-rungs');
    await stage.writeData('rows.csv', 'input,output\n');
  });
  after(() => stage.close());

  const start = async (
    scripted: Readonly<Record<string, Behaviour>>,
    change: (plan: AdaptationPlan) => AdaptationPlan = (plan) => plan,
  ): Promise<StagedRun> =>
    await stage.adapt(ladderSpec(), {
      steps: { ...(await ladderSteps(stage)), ...scripted },
      control: compiledWith(stage, change),
    });

  const outcomeOf = async (run: StagedRun): Promise<AdaptationOutcome> =>
    await run.result<AdaptationOutcome>();
  const ends = (records: readonly DecisionRecord[]) => records.map((one) => [one.rung, one.outcome]);

  test('a plan of another interpreter, or a rung of one, ends with its own code', async () => {
    const other = INTERPRETER_VERSION + 1;
    const whole = await start({}, (plan) => ({ ...plan, interpreterVersion: other }));
    const failure = await whole.failure();
    assert.equal(failure.code, 'PLAN_VERSION_UNSUPPORTED');
    assert.match(failure.message, new RegExp(`for version ${other} of the interpreter`));
    assert.deepEqual(whole.calls, [], 'nothing was run');
    const rung = await start(
      {},
      withRung('icl', (sub) => ({ ...sub, interpreterVersion: other })),
    );
    const [, record] = (await outcomeOf(rung)).rungs;
    assert.ok(record?.outcome === 'failed');
    assert.equal(record.code, 'PLAN_VERSION_UNSUPPORTED');
  });

  test('a final code: the flowchart continues, and a later rung wins', async () => {
    const right = answering(stage, 1);
    const run = await start({
      'icl/recipes/0/answers': failing('ENGINE_REQUEST_INVALID', 'the prompt is too long'),
      'peft/answers': right,
      'test/peft/answers': right,
    });
    const outcome = await outcomeOf(run);
    assert.deepEqual(ends(outcome.rungs), [
      ['zero-shot', 'measured'],
      ['icl', 'failed'],
      ['peft', 'measured'],
    ]);
    const [, failed] = outcome.rungs;
    assert.ok(failed?.outcome === 'failed');
    assert.deepEqual([failed.code, failed.message], ['ENGINE_REQUEST_INVALID', 'the prompt is too long']);
    assert.deepEqual([outcome.decision.rung, outcome.decision.verdict], ['peft', 'target-met']);
    const { facts } = outcome;
    assert.deepEqual([facts['rungs.icl.tried'], facts['rungs.icl.value']], [true, undefined]);
    const enough = outcome.path.find(({ node }) => node === 'icl-enough');
    assert.equal(enough?.answer, 'no', 'what is known is asked for');
    const decisions = await run.query<DecisionRecord[]>('decisions');
    assert.deepEqual(decisions, outcome.rungs);
    assert.match(await run.details(), /icl\s+\| failed/);
    const report = (await stage.store.readBytes(outcome.report.markdown)).toString();
    assert.match(report, /icl failed \(ENGINE\\_REQUEST\\_INVALID\)/);
  });

  test('the first rung fails: the next one is judged as the first', async () => {
    const run = await start({ 'zero-shot/answers': failing('MODEL_UNSUPPORTED') });
    const outcome = await outcomeOf(run);
    assert.deepEqual(ends(outcome.rungs), [
      ['zero-shot', 'failed'],
      ['icl', 'measured'],
      ['peft', 'measured'],
    ]);
    const first = outcome.path.find(({ node }) => node === 'zero-shot-enough');
    assert.deepEqual([first?.answer, first?.comparisons[0]?.left], ['no', 'unknown']);
  });

  test("a plugin's own code: its help reaches the record, the report and the failure of the run", async () => {
    const run = await start({ 'zero-shot/answers': failing('scripted/NO_CREDIT', 'the account is empty') });
    const outcome = await outcomeOf(run);
    const [first] = outcome.rungs;
    const { code, help } = first?.outcome === 'failed' ? first : assert.fail();
    assert.deepEqual([code, help], ['scripted/NO_CREDIT', 'Add credit.']);
    assert.match(first?.reason ?? '', /^scripted\/NO_CREDIT: the account is empty What to do: Add credit\.$/);
    const report = (await stage.store.readBytes(outcome.report.markdown)).toString();
    assert.match(report, /Add credit/);
    const all = failing('scripted/NO_CREDIT', 'the account is empty');
    const none = await start({ 'zero-shot/answers': all, 'icl/recipes/0/answers': all, 'peft/train': all });
    assert.equal((await none.failure()).code, 'scripted/NO_CREDIT');
    const error: unknown = await none.handle.result().catch((failure: unknown) => failure);
    assert.match(
      explainError(error),
      /^scripted\/NO_CREDIT: No rung was measured: .*What to do: Add credit\.$/s,
    );
  });

  test('retries that are used up, a bug, and a lost worker are recorded as what they are', async () => {
    const change = (plan: AdaptationPlan) =>
      withSteps('peft', FEW)(withSteps('icl', { retry: 'billable' })(withSteps('zero-shot', FEW)(plan)));
    const run = await start(
      {
        'zero-shot/score': crashing(new RangeError('Invalid array length')),
        'icl/recipes/0/answers': failing('ENGINE_CRASHED', 'the engine died'),
        'peft/train': silent(),
      },
      change,
    );
    const { code, message } = await run.failure();
    assert.equal(run.callsOf('icl/recipes/0/answers').length, 2);
    assert.equal(code, 'INTERNAL', 'that of the first rung');
    assert.match(
      message,
      /^No rung was measured: zero-shot failed with INTERNAL: .*RangeError: Invalid array length; icl/,
    );
    assert.match(message, /icl failed with ENGINE_CRASHED: the engine died/);
    assert.match(
      message,
      /peft failed with STEP_TIMED_OUT: peft\/train: its worker stopped sending heartbeats/,
    );
    const { phase } = await run.query<Progress>('progress');
    assert.equal(phase, 'failed');
  });

  test('a finalist that cannot be scored on test leaves the decision to the others', async () => {
    const right = answering(stage, 1);
    const run = await start({
      'icl/recipes/0/answers': right,
      'test/icl/answers': failing('ENGINE_REQUEST_INVALID', 'a test row is too long'),
    });
    const outcome = await outcomeOf(run);
    assert.deepEqual(outcome.test.failed, [
      { id: 'icl-1-random', rung: 'icl', code: 'ENGINE_REQUEST_INVALID', message: 'a test row is too long' },
    ]);
    assert.deepEqual(
      [outcome.decision.rung, outcome.decision.verdict],
      ['zero-shot', 'target-not-confirmed'],
    );
  });

  test('when no finalist can be scored, the run fails with what happened', async () => {
    const run = await start({
      'icl/recipes/0/answers': answering(stage, 1),
      'test/zero-shot/answers': failing('MODEL_FILE_INVALID', 'a bad block'),
      'test/icl/answers': failing('MODEL_FILE_INVALID', 'a bad block'),
    });
    const { code, message } = await run.failure();
    assert.equal(code, 'MODEL_FILE_INVALID');
    assert.match(
      message,
      /^No finalist was scored on the test rows: zero-shot failed with MODEL_FILE_INVALID/,
    );
  });

  test('the budget cuts a rung off, however its step ends then', async () => {
    // Long enough for what comes before, on a machine that does much else; the rung waits for its end.
    const cut =
      (change: (plan: AdaptationPlan) => AdaptationPlan = (plan) => plan) =>
      (plan: AdaptationPlan) =>
        change(withBudget({ seconds: 8 })(plan));
    const lost = withSteps('icl', { ...FEW, heartbeatTimeoutMs: 60_000, startToCloseTimeoutMs: 10_000 });
    const runs = await Promise.all([
      start({ 'icl/recipes/0/answers': hanging() }, cut()),
      start({ 'icl/recipes/0/answers': silent() }, cut(lost)),
    ]);
    for (const outcome of await Promise.all(runs.map(outcomeOf))) {
      assert.deepEqual(ends(outcome.rungs), [
        ['zero-shot', 'measured'],
        ['icl', 'cut-off'],
      ]);
      assert.equal(outcome.decision.verdict, 'budget-exhausted');
      assert.equal(outcome.decision.rung, 'zero-shot');
    }
  });

  test('so do tokens, and what was measured is kept', async () => {
    // Sixteen answers of eleven tokens each: zero-shot takes 176, icl passes the limit with its first step.
    const run = await start(
      { 'icl/recipes/0/answers': answering(stage, 1, 1000) },
      withBudget({ seconds: 36_000, tokens: 5000 }),
    );
    const outcome = await outcomeOf(run);
    const record = outcome.rungs.at(-1);
    assert.ok(record?.outcome === 'cut-off' && record.by === 'tokens', JSON.stringify(record));
    assert.equal(outcome.decision.rung, 'zero-shot');
  });

  test('a budget that cuts off the first rung is what the run fails with', async () => {
    const run = await start({ 'zero-shot/answers': hanging() }, withBudget({ seconds: 4 }));
    const { code, message } = await run.failure();
    assert.equal(code, 'BUDGET_EXHAUSTED');
    assert.match(message, /The budget of 4 s was spent before any rung was measured/);
  });

  test('a cancellation of the run ends it, as cancelled, even when a worker is lost meanwhile', async () => {
    for (const [behaviour, change] of [
      [hanging(), undefined],
      [silent(), withSteps('icl', FEW)],
    ] as const) {
      const run = await start({ 'icl/recipes/0/answers': behaviour }, change);
      await run.started('icl/recipes/0/answers');
      await run.handle.cancel();
      assert.equal((await run.failure()).as, 'cancelled');
      const { phase } = await run.query<Progress>('progress');
      assert.equal(phase, 'cancelled');
      assert.equal(run.callsOf('peft/train').length, 0);
    }
  });
});

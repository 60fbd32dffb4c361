/** Verdicts of the ladder, and people's answers on its way; only steps are scripted. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, suite, test } from 'node:test';
import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome, Progress } from '../../../schemas/outcome/decision.ts';
import type { AdaptationPlan } from '../../../schemas/plan/adaptation-plan.ts';
import type { PlannedApproval } from '../../../schemas/plan/pipeline-plan.ts';
import type { Behaviour } from '../support/behaviours.ts';
import { compiledWith, withBudget, withRung } from '../support/compiled.ts';
import { answering, ladderSpec, ladderSteps } from '../support/ladder.ts';
import type { StagedRun } from '../support/staged-run.ts';
import { Stage } from '../support/stage.ts';

suite('a ladder and its answers', { concurrency: 3 }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('ladder-answers');
    await stage.writeData('rows.csv', 'input,output\n');
  });
  after(() => stage.close());

  const start = async (
    spec: Partial<AdaptationSpecInput>,
    scripted: Readonly<Record<string, Behaviour>> = {},
    change: (plan: AdaptationPlan) => AdaptationPlan = (plan) => plan,
  ): Promise<StagedRun> =>
    await stage.adapt(ladderSpec(spec), {
      steps: { ...(await ladderSteps(stage)), ...scripted },
      control: compiledWith(stage, change),
    });

  const outcomeOf = async (run: StagedRun): Promise<AdaptationOutcome> =>
    await run.result<AdaptationOutcome>();
  const answers = ({ path }: AdaptationOutcome, node: string) =>
    path.find((step) => step.node === node)?.answer;

  test('each verdict that dev and test can lead to', async () => {
    const [right, half] = [answering(stage, 1), answering(stage, 0.5)];
    const tuned = { 'peft/answers': right };
    for (const [scripted, verdict, rung] of [
      [{ ...tuned, 'test/peft/answers': right }, 'target-met', 'peft'],
      [{ ...tuned, 'test/peft/answers': half }, 'target-not-confirmed', 'zero-shot'],
      [{}, 'target-not-met', 'zero-shot'],
      [{ 'test/peft/answers': right }, 'target-met', 'peft'],
    ] as const) {
      const { decision } = await outcomeOf(await start({}, scripted));
      assert.deepEqual([decision.verdict, decision.rung], [verdict, rung], decision.reason);
    }
  });

  test('rungs run only with approval; a rejection, or no answer, leads on', async () => {
    const run = await start({ approvals: { rungs: ['icl', 'peft'] } });
    await run.answer('approve-icl', 'approve', { by: 'Ada' });
    await run.answer('approve-peft', 'reject', { comment: 'too dear' });
    const outcome = await outcomeOf(run);
    assert.deepEqual(
      [answers(outcome, 'approve-icl'), answers(outcome, 'approve-peft')],
      ['approved', 'rejected'],
    );
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl'],
    );
    assert.deepEqual(
      outcome.approvals.map(({ verdict, by }) => [verdict, by]),
      [
        ['approve', 'Ada'],
        ['reject', ''],
      ],
    );
    const late = await outcomeOf(await start({ approvals: { rungs: ['icl'], timeoutSeconds: 1 } }));
    assert.equal(answers(late, 'approve-icl'), 'rejected');
    assert.equal(late.approvals[0]?.verdict, 'timed-out');
    assert.deepEqual(
      late.rungs.map(({ rung }) => rung),
      ['zero-shot', 'peft'],
    );
  });

  test('when no rung is approved, the run says so and not that a budget was spent', async () => {
    const flowchart: AdaptationSpecInput['flowchart'] = {
      name: 'one',
      start: 'try',
      nodes: {
        try: { form: 'try', title: 'Ask', rung: 'zero-shot', next: 'end' },
        end: { form: 'end', title: 'End', verdict: 'target-not-met' },
      },
    };
    const run = await start({ flowchart, approvals: { rungs: ['zero-shot'] } });
    await run.answer('approve-zero-shot', 'reject', { comment: 'Not today.' });
    const { code, message } = await run.failure();
    assert.equal(code, 'APPROVAL_REJECTED');
    assert.match(message, /No rung was measured: "Run the zero-shot rung\?" was rejected\. Not today\./);
    const nothing = await start({ flowchart: { ...flowchart, start: 'end' } });
    const empty = await nothing.failure();
    assert.equal(empty.code, 'INVALID_SPEC');
    assert.match(empty.message, /the path ended at "End" before any rung was tried/);
  });

  test('two approvals at once in the curation count once', async () => {
    const gate = (id: string) => ({ id, form: 'approval', title: id, subject: id }) as const;
    const curation = {
      name: 'own',
      nodes: [
        gate('left'),
        gate('right'),
        { id: 'split', form: 'step', uses: 'curate.split@1', after: ['left', 'right'] },
      ],
    } as const;
    const plan = { dataset: '${inputs.source}', sizes: '${inputs.sizes}', seed: '${inputs.seed}' };
    const nodes = curation.nodes.map((node) =>
      node.form === 'step' ? { ...node, after: [...node.after], with: plan } : node,
    );
    const run = await start({
      data: { ...ladderSpec().data, curation: { name: 'own', nodes } },
      target: 0,
    });
    await run.asked('curate/left');
    await run.asked('curate/right');
    await sleep(1500);
    await run.answer('curate/right', 'approve');
    await run.answer('curate/left', 'approve');
    const outcome = await outcomeOf(run);
    const waits = outcome.approvals.map(({ seconds }) => seconds);
    assert.equal(waits.length, 2);
    assert.ok(Math.min(...waits) >= 1.4, `both waited: ${waits.join(', ')} s`);
    const events = (await run.history()).events ?? [];
    const report = events.find((one) => {
      const name = one.activityTaskScheduledEventAttributes?.activityType?.name;
      return name === 'writeReport';
    });
    const untilReport = secondsOf(report) - secondsOf(events[0]);
    const [left = 0, right = 0] = waits;
    assert.ok(outcome.seconds + Math.max(left, right) < untilReport + 0.1, 'the longer wait is left out');
    assert.ok(outcome.seconds + left + right > untilReport, 'the other one not a second time');
    const { secondsElapsed } = await run.query<Progress>('progress');
    assert.ok(secondsElapsed > 0, `${secondsElapsed} s`);
  });

  test('a wait inside a rung does not count against that rung', async () => {
    const gate: PlannedApproval = {
      id: 'look',
      form: 'approval',
      title: 'Look',
      subject: 1,
      timeoutSeconds: null,
      needs: [],
    };
    const run = await start({ target: 0 }, {}, (plan) =>
      withRung('zero-shot', (sub) => ({
        ...sub,
        nodes: [gate, ...sub.nodes.map((node) => ({ ...node, needs: [...node.needs, 'look'] }))],
      }))(withBudget({ seconds: 6 })(plan)),
    );
    await run.asked('zero-shot/look');
    await sleep(6500);
    await run.answer('zero-shot/look', 'approve');
    const outcome = await outcomeOf(run);
    assert.deepEqual(
      outcome.rungs.map((one) => one.outcome),
      ['measured'],
    );
    assert.ok(outcome.seconds < 6, `${outcome.seconds} s of work`);
  });
});

type HistoryEvent = NonNullable<Awaited<ReturnType<StagedRun['history']>>['events']>[number];

function secondsOf(event: HistoryEvent | undefined): number {
  return Number(event?.eventTime?.seconds ?? 0) + (event?.eventTime?.nanos ?? 0) / 1e9;
}

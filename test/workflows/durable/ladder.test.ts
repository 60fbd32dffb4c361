/** The ladder, with real compiling, judging, deciding and reporting; only its steps are scripted. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { AdaptationOutcome } from '../../../schemas/outcome/decision.ts';
import { answering, ladderSpec, ladderSteps } from '../support/ladder.ts';
import { Stage } from '../support/stage.ts';

suite('the ladder', () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('ladder');
    await stage.writeData('rows.csv', 'input,output\n');
  });
  after(() => stage.close());

  test('stops at the rung that meets the target, and its candidate wins', async () => {
    const right = answering(stage, 1);
    const steps = {
      ...(await ladderSteps(stage)),
      'icl/recipes/0/answers': right,
      'test/icl/answers': right,
    };
    const run = await stage.adapt(ladderSpec(), { steps });
    const outcome = await run.result<AdaptationOutcome>();
    assert.equal(outcome.decision.verdict, 'target-met');
    assert.equal(outcome.decision.rung, 'icl');
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl'],
    );
    assert.equal(run.callsOf('peft/train').length, 0);
  });
});

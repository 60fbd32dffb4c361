/** The ladder, with real compiling, judging, deciding and reporting; only its steps are scripted. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { AdaptationOutcome } from '../../../schemas/outcome/decision.ts';
import { MAX_RESULT_BYTES } from '../../../schemas/plan/constants.ts';
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

  test('says what providers charged: with each candidate, and for the whole run', async () => {
    const steps = {
      ...(await ladderSteps(stage)),
      'zero-shot/answers': answering(stage, 0.5, 10, 0.25),
      'icl/recipes/0/answers': answering(stage, 1, 10, 0.5),
      'test/icl/answers': answering(stage, 1, 10, 1),
    };
    const run = await stage.adapt(ladderSpec(), { steps });
    const { rungs, costUsd } = await run.result<AdaptationOutcome>();
    assert.deepEqual(
      rungs.map((one) => (one.outcome === 'measured' ? one.cost.costUsd : null)),
      [0.25, 0.5],
    );
    assert.equal(costUsd, 1.75);
    const free = await stage.adapt(ladderSpec(), { steps: await ladderSteps(stage) });
    assert.equal('costUsd' in (await free.result<AdaptationOutcome>()), false);
  });

  test("gives a curation pipeline the adaptation's values and the inputs of its own", async () => {
    const scripted = await ladderSteps(stage);
    const split = scripted['curate.split@1'] ?? assert.fail('nothing splits');
    const given = { mine: '${inputs.mine}', seed: '${inputs.seed}', columns: '${inputs.columns}' };
    const { data, ...spec } = ladderSpec({ seed: 7 });
    const curation = {
      name: 'own',
      inputs: { mine: { words: ['a', 'b'] }, seed: 1 },
      nodes: [{ id: 'split', form: 'step', uses: 'test.readonly@1', with: given }],
    };
    const run = await stage.adapt(
      { ...spec, data: { ...data, curation } } as typeof spec & { data: typeof data },
      {
        steps: { ...scripted, 'curate/split': split },
      },
    );
    await run.result();
    assert.deepEqual(run.callsOf('curate/split')[0]?.input, {
      mine: { words: ['a', 'b'] },
      // What the adaptation says wins.
      seed: 7,
      columns: { input: 'input', output: 'output' },
    });
  });

  test('fails with a code when its result is too large to be returned', async () => {
    const control = {
      writeReport: async () => ({ html: 'x'.repeat(MAX_RESULT_BYTES) }) as never,
    };
    const run = await stage.adapt(ladderSpec(), { steps: await ladderSteps(stage), control });
    const { code, message } = await run.failure();
    assert.equal(code, 'PAYLOAD_TOO_LARGE');
    assert.match(message, /^The result of the adaptation has \d+ bytes/);
  });
});

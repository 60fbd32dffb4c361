/** A rung of a plugin whose id has a `+` and whose candidates have a model of their own, from its gate to the report. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { zeroShotRung } from '../../../plugins/rungs/zero-shot.ts';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import { outputRef } from '../../../plugins/sdk/plan-values.ts';
import { answerAndScore, recipeOf, resultNode } from '../../../plugins/sdk/rung-plan.ts';
import { answeringModel } from '../../../plugins/sdk/testing/answering-model.ts';
import type { AdaptationOutcome, DecisionRecord } from '../../../schemas/outcome/decision.ts';
import type { Flowchart } from '../../../schemas/spec/flowchart.ts';
import { Gate, when } from '../support/behaviours.ts';
import { answering, ladderSpec, ladderSteps } from '../support/ladder.ts';
import { Stage } from '../support/stage.ts';

const MODEL = { provider: 'hosted', id: 'large', options: { region: 'eu' } };

const plugin: PluginV1 = {
  name: 'hybrids',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    registrar.addLanguageModelProvider({
      id: MODEL.provider,
      resource: 'io',
      billable: true,
      optionsSchema: z.strictObject({ region: z.string().default('eu') }),
      open: () => answeringModel(() => 'right'),
    });
    registrar.addRung({
      ...zeroShotRung,
      id: 'a+b',
      title: 'Both at once',
      place: { order: 50 },
      toPlan: ({ spec }) => {
        const recipe = recipeOf(spec);
        const [own, scores] = [{ spec, model: MODEL }, [{ score: outputRef('score') }]];
        return {
          name: 'a+b',
          nodes: [
            ...answerAndScore({ ...own, recipe, adapter: null }),
            resultNode({ ...own, rung: 'a+b', tried: 1, recipes: [recipe], scores }),
          ],
        };
      },
    });
  },
  close: async () => undefined,
};

/** The rung decides by a fact of its own whether the ladder ends. */
const FLOWCHART: Flowchart = {
  name: 'own',
  start: 'try-zero-shot',
  nodes: {
    'try-zero-shot': { form: 'try', title: 'First', rung: 'zero-shot', next: 'try-a+b' },
    'try-a+b': { form: 'try', title: 'Both at once', rung: 'a+b', next: 'a+b-enough' },
    'a+b-enough': {
      form: 'ask',
      title: 'Is it better?',
      all: [
        { fact: 'rungs.a+b.tried', op: '==', value: true },
        { fact: 'rungs.a+b.low', op: '>', value: { fact: 'rungs.zero-shot.low' } },
      ],
      yes: 'good',
      no: 'bad',
    },
    good: { form: 'end', title: 'Target met', verdict: 'target-met' },
    bad: { form: 'end', title: 'Not met', verdict: 'target-not-met' },
  },
};

suite('a hybrid rung', () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('hybrid', {}, [plugin]);
    await stage.writeData('rows.csv', 'input,output\n');
  });
  after(() => stage.close());

  test('is approved, run, judged, tested with its own model, shown and reported by its id', async () => {
    const right = answering(stage, 1);
    const tested = new Gate();
    const steps = {
      ...(await ladderSteps(stage)),
      'a+b/answers': right,
      'test/a+b/answers': when(tested, right),
    };
    const spec = ladderSpec({ flowchart: FLOWCHART, approvals: { rungs: ['a+b'] } });
    const run = await stage.adapt(spec, { steps });

    const gate = await run.asked('approve-a+b');
    assert.equal(gate.title, 'Run the a+b rung?');
    assert.match(await run.details(), /"id": "approve-a\+b"/);
    assert.equal(run.callsOf('a+b/answers').length, 0);
    await run.answer('approve-a+b', 'approve');

    await run.started('test/a+b/answers');
    const details = await run.details();
    assert.match(details, /\*\*Running:\*\* `test\/a\+b\/answers`/);
    assert.match(details, /\| a\+b\u00a0 \| 1\.000\u00a0 \|[^\n]*\| 0\.063\u00a0 \|/);
    const [measured] = (await run.query<readonly DecisionRecord[]>('decisions')).slice(-1);
    assert.deepEqual([measured?.rung, measured?.outcome], ['a+b', 'measured']);
    tested.open();

    const outcome = await run.result<AdaptationOutcome>();
    assert.deepEqual([outcome.decision.rung, outcome.decision.verdict], ['a+b', 'target-met']);
    assert.equal(outcome.facts['rungs.a+b.tried'], true);
    assert.equal(outcome.facts['rungs.a+b.value'], 1);
    assert.deepEqual(
      outcome.path.map(({ node, answer }) => `${node}: ${answer}`),
      ['try-zero-shot: tried', 'approve-a+b: approved', 'try-a+b: tried', 'a+b-enough: yes', 'good: end'],
    );

    const calls = ['zero-shot/answers', 'a+b/answers', 'test/zero-shot/answers', 'test/a+b/answers'];
    const models = calls.map((id) => (run.callsOf(id)[0]?.input['model'] as typeof MODEL).provider);
    assert.deepEqual(models, ['nf4-lora', 'hosted', 'nf4-lora', 'hosted']);
    assert.deepEqual(run.callsOf('test/a+b/answers')[0]?.input['model'], MODEL);

    const markdown = await stage.store.readBytes(outcome.report.markdown);
    const text = Buffer.from(markdown).toString('utf8');
    assert.match(text, /^# staged: Use a\+b: it meets the target/);
    assert.match(text, /\| a\+b ★ \| 1\.000 \|/);
    assert.match(text, /- Model: large \(region eu\), by hosted/);
  });
});

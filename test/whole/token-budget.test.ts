/** A limit on tokens: rungs that it does not cover are not begun, and one that passes it is cut off. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Flowchart } from '../../schemas/spec/flowchart.ts';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { runAdaptation, writeRows } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

/** Runs every rung without asking what it costs. */
const CARELESS: Flowchart = {
  name: 'careless',
  start: 'ask',
  nodes: {
    ask: { form: 'try', title: 'Ask', rung: 'zero-shot', next: 'tune' },
    tune: { form: 'try', title: 'Tune', rung: 'peft', next: 'end' },
    end: { form: 'end', title: 'End', verdict: 'target-not-met' },
  },
};

suite('a budget of tokens', { skip }, () => {
  let server: TestServer;
  let place: Place;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'tokens');
    await writeRows(place);
    await place.startWorker();
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  test('a rung that it does not cover is not begun', async () => {
    const { outcome } = await runAdaptation(place, tinySpec({ budget: { seconds: 36_000, tokens: 9000 } }));
    assert.equal(outcome.decision.verdict, 'budget-exhausted');
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot'],
    );
    const asked = outcome.path.find(({ node }) => node === 'icl-affordable');
    const tokens = asked?.comparisons.find(({ fact }) => fact === 'budget.tokensLeft');
    assert.equal(asked?.answer, 'no');
    assert.ok(tokens !== undefined && tokens.left < tokens.right, JSON.stringify(tokens));
  });

  test('a rung that passes it is cut off after the step that did, and what was measured is kept', async () => {
    // Answering the dev rows and, at the end, the test rows fits; two trainings do not.
    const spec = tinySpec({ flowchart: CARELESS, budget: { seconds: 36_000, tokens: 5800 } });
    const { outcome, activities } = await runAdaptation(place, spec);
    assert.equal(outcome.decision.verdict, 'budget-exhausted');
    assert.equal(outcome.decision.rung, 'zero-shot');
    const trained = activities.filter(({ type, completed }) => type === 'train.adapter@1' && completed);
    assert.ok(trained.length > 0 && trained.length < 3, `${trained.length} trainings were done`);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { assembleFlowchart } from '../../../core/compile/assemble-flowchart.ts';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { ragRung } from '../../../plugins/rungs/rag.ts';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import type { RungPlace } from '../../../plugins/sdk/contracts/rung.ts';
import { createProjectHost } from '../../../plugins.ts';
import { flowchartSchema, type Facts, type Flowchart } from '../../../schemas/spec/flowchart.ts';
import { evaluate } from '../../../workflows/adapt/predicate.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';
import { STANDARD_FLOWCHART } from '../../fixtures/standard-flowchart.ts';

/** Rungs that are tried, in order, and the verdict, where these facts hold all the way. */
function walk({ start, nodes }: Flowchart, facts: Facts): string[] {
  const visited: string[] = [];
  for (let name = start; ;) {
    const node = nodes[name];
    assert.ok(node !== undefined, name);
    if (node.form === 'end') return [...visited, node.verdict];
    if (node.form === 'try') visited.push(node.rung);
    if (node.form === 'ask') name = evaluate(node.all, facts).holds ? node.yes : node.no;
    else name = node.next;
  }
}

const EASY = { target: 0.5, 'best.low': 0.1, 'budget.secondsLeft': 100 };
function factsFor(ids: readonly string[], changes: Facts = {}): Facts {
  const eligible = ids.map((id) => [`rungs.${id}.eligible`, true] as const);
  const seconds = ids.map((id) => [`rungs.${id}.estimateSeconds`, 10] as const);
  return { ...EASY, ...(Object.fromEntries([...eligible, ...seconds]) as Facts), ...changes };
}
const BUILT_IN = ['zero-shot', 'icl', 'rag', 'peft'];

test('the built-in rungs are tried in the order of their places, until the target is met or the budget is too small', () => {
  assert.deepEqual(flowchartSchema.parse(STANDARD_FLOWCHART), STANDARD_FLOWCHART);
  assert.equal(STANDARD_FLOWCHART.start, 'try-zero-shot');
  const ends = (changes: Facts) => walk(STANDARD_FLOWCHART, factsFor(BUILT_IN, changes));
  assert.deepEqual(ends({}), [...BUILT_IN, 'target-not-met']);
  assert.deepEqual(ends({ 'best.low': 0.5 }), ['zero-shot', 'target-met']);
  assert.deepEqual(ends({ 'rungs.rag.eligible': false }), ['zero-shot', 'icl', 'peft', 'target-not-met']);
  assert.deepEqual(ends({ 'rungs.rag.estimateSeconds': 101 }), ['zero-shot', 'icl', 'budget-exhausted']);
});

const hybrid = (place: RungPlace): PluginV1 => ({
  name: 'hybrids',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => registrar.addRung({ ...ragRung, id: 'rag+peft', title: 'Both', place }),
  close: async () => undefined,
});

async function chartWith(place: RungPlace): Promise<Flowchart> {
  const host = createProjectHost([{ plugin: hybrid(place) }]);
  try {
    return compileSpec(GOOD_SPEC, host).flowchart;
  } finally {
    await host.close();
  }
}

test('a rung of another plugin enters the chart by its declaration: order, conditions, question, approval', async () => {
  const conditions = [{ fact: 'rungs.rag.low', op: '>', value: { fact: 'rungs.peft.low' } }] as const;
  const question = 'Does retrieval help more than tuning?';
  const chart = await chartWith({ order: 400, conditions, question, approval: true });
  const all = [...BUILT_IN, 'rag+peft'];
  const facts = factsFor(all, { 'rungs.rag.low': 0.4, 'rungs.peft.low': 0.3 });
  assert.deepEqual(walk(chart, facts), [...all, 'target-not-met']);
  assert.deepEqual(walk(chart, { ...facts, 'rungs.rag.low': 0.2 }), [...BUILT_IN, 'target-not-met']);
  const asked = chart.nodes['rag+peft-eligible'];
  assert.equal(asked?.title, question);
  const gate = chart.nodes['approve-rag+peft'];
  assert.deepEqual(gate?.form === 'approve' && [gate.title, gate.next, gate.rejected], [
    'Run the rag+peft rung?',
    'try-rag+peft',
    'rag+peft-enough',
  ]);
});

test('an earlier order is an earlier place, and a wrong place is refused when the plugin registers', async () => {
  const between = await chartWith({ order: 150 });
  assert.deepEqual(walk(between, factsFor([...BUILT_IN, 'rag+peft'])), [
    ...['zero-shot', 'icl', 'rag+peft', 'rag', 'peft'],
    'target-not-met',
  ]);
  const wrong = { order: 1, conditions: [{ fact: 'target', op: 'is', value: 1 }] } as unknown as RungPlace;
  await assert.rejects(chartWith(wrong), {
    code: 'PLUGIN_RUNG_INVALID',
    message: /place\.conditions\.0\.op/,
  });
});

test('a rung without a place is left to charts of users', () => {
  const chart = assembleFlowchart([{ id: 'own', title: 'Own', place: null }]);
  assert.deepEqual(walk(chart, {}), ['target-not-met']);
});

/** Whatever a user's spec holds reaches the steps as it was written, and is never read as a reference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePipelineSpec } from '../../../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { compileTrainSpec } from '../../../core/compile/compile-train-spec.ts';
import { exportSpec } from '../../../cli/lib/export-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import type { JsonObject, JsonValue } from '../../../schemas/common/json.ts';
import type { PipelinePlan, PlannedNode } from '../../../schemas/plan/pipeline-plan.ts';
import { resolveReferences, type Scope } from '../../../schemas/plan/references.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';
import { reportPlace } from '../report/fixture.ts';

const host = createProjectHost();

/** Texts that a template language or a shell leaves behind, and those that are references to the letter. */
const TEXTS = [
  'Write `${name}` in $(pwd)',
  '${inputs.dev}',
  '${item}',
  '${nodes.train.output.adapter}',
  '${',
  '{"$literal": 1}',
];

const finished = {
  dataset: 1,
  diagnostics: 1,
  index: 1,
  choice: 1,
  adapter: 1,
  training: 1,
  predictions: 1,
  usage: 1,
};
const SCOPE: Scope = {
  inputs: { train: 'train', dev: 'dev', test: 'test', candidate: { model: {}, recipe: {}, adapter: null } },
  nodes: Object.fromEntries(
    ['read', 'null-filter', 'normalise', 'exact-dedupe', 'token-filter', 'index', 'recall', 'recipes', 'fit']
      .concat(['trials', 'pick', 'train', 'loss', 'answers', 'score'])
      .map((id) => [id, id === 'fit' ? { fitting: 0, recipes: [], skipped: [] } : finished]),
  ),
};

/** What each step of a plan would be given, as far as it is a user's own. */
function given(plan: PipelinePlan | null | undefined): JsonValue[] {
  const of = (node: PlannedNode, scope: Scope): JsonValue[] => {
    if (node.form === 'step') return [resolveReferences(node.with, scope)];
    if (node.form === 'approval') return [resolveReferences(node.subject, scope)];
    const items = resolveReferences(node.over, scope) as JsonValue[];
    return [items, ...items.flatMap((item) => node.body.flatMap((step) => of(step, { ...scope, item })))];
  };
  return (plan?.nodes ?? []).flatMap((node) => of(node, SCOPE));
}

function membersCalled(name: string, value: JsonValue): JsonValue[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value as JsonObject).flatMap(([key, member]) => [
    ...(key === name ? [member] : []),
    ...membersCalled(name, member),
  ]);
}

for (const text of TEXTS) {
  test(`in an adaptation: ${text}`, () => {
    const spec = {
      ...GOOD_SPEC,
      task: { instruction: text, system: text },
      data: {
        ...GOOD_SPEC.data,
        source: { path: text },
        columns: { input: text, output: text, group: text, category: text },
        documents: { source: { path: text }, columns: { text, title: text } },
      },
      model: { id: text },
      rungs: { peft: { config: { targetModules: [text] } } },
    };
    const plan = compileSpec(spec, host);
    for (const sub of [...plan.rungs.map((rung) => rung.plan), plan.test]) {
      const steps = given(sub);
      for (const name of ['instruction', 'system']) {
        const found = membersCalled(name, steps);
        assert.ok(found.length > 0 || sub === plan.test, `${sub?.name}: ${name}`);
        assert.deepEqual(new Set(found), new Set(found.length === 0 ? [] : [text]));
      }
      // A finalist brings its own.
      const expected = sub === plan.test ? [] : [text];
      assert.deepEqual(new Set(membersCalled('id', membersCalled('model', steps))), new Set(expected));
    }
    const [read] = given(plan.rungs.find(({ id }) => id === 'rag')?.plan) as JsonObject[];
    assert.deepEqual(read, { source: { path: text }, columns: { input: text, output: text } });
    const peft = given(plan.rungs.find(({ id }) => id === 'peft')?.plan);
    assert.ok(membersCalled('targetModules', peft).every((found) => (found as string[])[0] === text));
  });

  test(`in a training: ${text}`, () => {
    const { plan } = compileTrainSpec(
      {
        name: 'own',
        task: { instruction: text, system: text },
        data: { source: { path: text }, columns: { input: text, output: text } },
        model: { id: text },
        config: { targetModules: [text] },
      },
      host,
    );
    const [read, ...others] = given({
      ...plan.curation,
      nodes: [...plan.curation.nodes, plan.train],
    }) as JsonObject[];
    assert.deepEqual(read, { source: { path: text }, columns: { input: text, output: text } });
    for (const name of ['instruction', 'system']) assert.deepEqual(membersCalled(name, others), [text, text]);
    assert.deepEqual(membersCalled('targetModules', others), [[text]]);
  });
}

test('in an export of a run', async () => {
  const place = await reportPlace({ instruction: '${inputs.dev}' });
  try {
    const spec = exportSpec(place.data, { format: 'gguf-q8_0', base: 'trained' });
    const [step] = given(compilePipelineSpec(spec, host).plan);
    assert.deepEqual(membersCalled('instruction', step ?? null), ['${inputs.dev}']);
  } finally {
    await place.close();
  }
});

test('in a pipeline of one’s own a literal is the way, and a refusal names it', () => {
  const pipeline = (subject: unknown) => ({
    name: 'p',
    nodes: [{ id: 'a', form: 'approval', title: 'A', subject }],
  });
  assert.deepEqual(given(compilePipelineSpec(pipeline({ $literal: 'Write ${name}' }), host).plan), [
    'Write ${name}',
  ]);
  assert.throws(() => compilePipelineSpec(pipeline('Write ${name}'), host), /goes into \{"\$literal": …\}/);
});

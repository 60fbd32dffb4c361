/** Where the steps of a plan run and how they are tried again, for models here and elsewhere. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { z } from 'zod';
import { compilePipelineSpec } from '../../../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import type { PlannedBy, StepKindV1 } from '../../../plugins/sdk/contracts/step-kind.ts';
import { zeroShotRung } from '../../../plugins/rungs/zero-shot.ts';
import { MODEL_STEP } from '../../../plugins/sdk/model-step.ts';
import { outputRef } from '../../../plugins/sdk/plan-values.ts';
import { answerAndScore, recipeOf, resultNode } from '../../../plugins/sdk/rung-plan.ts';
import { answeringModel } from '../../../plugins/sdk/testing/answering-model.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { PlannedNode, PlannedStep } from '../../../schemas/plan/pipeline-plan.ts';
import type { ResourceClass } from '../../../schemas/plan/queues.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';

const kindOf = (name: string, resource: PlannedBy<ResourceClass>): StepKindV1 => ({
  specificationVersion: 'v1',
  kind: name,
  title: `Step ${name}`,
  resource,
  retry: MODEL_STEP.retry,
  cacheable: true,
  startToCloseTimeoutMs: 60_000,
  heartbeatTimeoutMs: 5000,
  withSchema: z.record(z.string(), z.json()),
  outputSchema: z.record(z.string(), z.json()),
  doRun: async () => ({}),
});

const plugin: PluginV1 = {
  name: 'hosted',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    registrar.addLanguageModelProvider({
      id: 'hosted',
      resource: 'io',
      billable: true,
      optionsSchema: z.strictObject({}),
      assumedTokensPerSecond: { prompt: 1000, generate: 1000, train: 1000 },
      open: () => answeringModel(() => 'yes'),
    });
    registrar.addStepKind(kindOf('test.ask@1', MODEL_STEP.resource));
    const summarize = ({ what }: JsonObject): string => `say ${JSON.stringify(what)}`;
    registrar.addStepKind({ ...kindOf('test.say@1', 'cpu'), summarize });
    registrar.addStepKind(kindOf('test.wrong@1', (() => 'tpu') as unknown as PlannedBy<ResourceClass>));
    registrar.addStepKind(
      kindOf('test.careless@1', (input) => (input as { model: { resource: ResourceClass } }).model.resource),
    );
  },
  close: async () => undefined,
};

/** A rung that answers with the model `other` of a provider, whatever the spec's model is. */
const bringsRung = (provider: string): PluginV1 => ({
  ...plugin,
  name: 'other-model',
  register: (registrar) =>
    registrar.addRung({
      ...zeroShotRung,
      id: 'other-model',
      place: { order: 50 },
      toPlan: ({ spec }) => {
        const [model, recipe] = [{ provider, id: 'other', options: {} }, recipeOf(spec)];
        const scores = [{ score: outputRef('score') }];
        return {
          name: 'other-model',
          nodes: [
            ...answerAndScore({ spec, model, recipe, adapter: null }),
            resultNode({ spec, model, rung: 'other-model', tried: 1, recipes: [recipe], scores }),
          ],
        };
      },
    }),
});

suite('classes of steps', () => {
  const host = createProjectHost([{ plugin }]);
  after(() => host.close());

  const classes = ({ resource, retry }: PlannedStep): string => `${resource} ${retry}`;
  const stepsIn = (nodes: readonly PlannedNode[]): readonly PlannedStep[] =>
    nodes.flatMap((node) => (node.form === 'step' ? [node] : node.form === 'map' ? node.body : []));
  const pipeline = (nodes: readonly JsonObject[], inputs: JsonObject = {}): string[] =>
    stepsIn(compilePipelineSpec({ name: 'p', inputs, nodes }, host).plan.nodes).map(classes);
  const ask = (options: JsonObject, id = 'ask'): JsonObject => ({
    ...{ id, form: 'step', uses: 'test.ask@1' },
    with: options,
  });
  const [here, elsewhere] = [
    { provider: 'nf4-lora', id: 'm' },
    { provider: 'hosted', id: 'm' },
  ];
  const [LOCAL, PAID] = ['gpu idempotentWrite', 'io billable'];

  test('follow the provider of a model that is written, or is an input', () => {
    assert.deepEqual(pipeline([ask({ model: here })]), [LOCAL]);
    assert.deepEqual(pipeline([ask({ model: elsewhere })]), [PAID]);
    assert.deepEqual(pipeline([ask({ model: { $literal: elsewhere } })]), [PAID]);
    assert.deepEqual(pipeline([ask({ model: '${inputs.model}' })], { model: elsewhere }), [PAID]);
    const parts = { model: { provider: '${inputs.names.provider}', id: 'm' } };
    assert.deepEqual(pipeline([ask(parts)], { names: { provider: 'hosted' } }), [PAID]);
  });

  test('are the defaults where only a run knows the model, or no provider has the name', () => {
    const made = { id: 'made', form: 'step', uses: 'test.ask@1', with: {} };
    assert.deepEqual(pipeline([made, ask({ model: '${nodes.made.output.model}' })]), [LOCAL, LOCAL]);
    assert.deepEqual(pipeline([ask({ model: { provider: 'toString', id: 'm' } })]), [LOCAL]);
    assert.deepEqual(pipeline([ask({ model: '${inputs.model}' })], { model: 7 }), [LOCAL]);
  });

  test('have the title of their kind as summary, or what the kind says of the options', () => {
    const nodes = [
      ask({ model: here }),
      { id: 'say', form: 'step', uses: 'test.say@1', with: { what: 'a' } },
    ];
    const { plan } = compilePipelineSpec({ name: 'p', nodes }, host);
    assert.deepEqual(
      stepsIn(plan.nodes).map(({ summary }) => summary),
      ['Step test.ask@1', 'say "a"'],
    );
  });

  test('of a map are those that all of its items agree in', () => {
    const each = (over: unknown): JsonObject =>
      ({ id: 'each', form: 'map', over, body: [ask({ model: '${item}' })] }) as JsonObject;
    assert.deepEqual(pipeline([each([elsewhere, elsewhere])]), [PAID]);
    assert.deepEqual(pipeline([each([elsewhere, here])]), ['gpu billable']);
    assert.deepEqual(pipeline([each('${inputs.models}')], { models: [elsewhere] }), [PAID]);
  });

  test('a ladder asks its model where that runs: curation, rungs and test', () => {
    const classesWith = (provider: string): Record<string, readonly string[]> => {
      const plan = compileSpec({ ...GOOD_SPEC, model: { provider, id: 'm' } }, host);
      const all = [plan.curation, plan.test, ...plan.rungs.map((rung) => rung.plan)];
      const steps = stepsIn(all.flatMap((one) => one?.nodes ?? []));
      const of = (kind: string) => steps.filter(({ uses }) => uses === kind).map(classes);
      return Object.fromEntries(
        [
          'curate.token-filter@1',
          'generate.answers@1',
          'score.answer-loss@1',
          'select.fitting@1',
          'curate.read@1',
        ].map((kind) => [kind, [...new Set(of(kind))]]),
      );
    };
    const expected = (model: string) => ({
      'curate.token-filter@1': [model],
      'generate.answers@1': [model],
      'score.answer-loss@1': [model],
      'select.fitting@1': [model],
      'curate.read@1': ['cpu idempotentWrite'],
    });
    assert.deepEqual(classesWith('hosted'), expected(PAID));
    assert.deepEqual(classesWith('nf4-lora'), expected(LOCAL));
  });

  test('a finalist answers the test rows with its own model: the classes hold for the models of all rungs', () => {
    const testedWith = (given: string, rung: string): string[] => {
      const { test: plan } = compileSpec(
        { ...GOOD_SPEC, model: { provider: given, id: 'm' } },
        createProjectHost([{ plugin }, { plugin: bringsRung(rung) }]),
      );
      const [answers] = stepsIn(plan.nodes).filter(({ uses }) => uses === 'generate.answers@1');
      assert.equal(answers?.with['model'], '${inputs.candidate.model}');
      return answers === undefined ? [] : [classes(answers)];
    };
    assert.deepEqual(testedWith('hosted', 'hosted'), [PAID]);
    assert.deepEqual(testedWith('nf4-lora', 'nf4-lora'), [LOCAL]);
    assert.deepEqual(testedWith('nf4-lora', 'hosted'), ['gpu billable']);
    assert.deepEqual(testedWith('hosted', 'nf4-lora'), ['gpu billable']);
  });

  test('a function that fails, or returns no class, is an issue that names kind and field', () => {
    for (const [uses, message] of [
      [
        'test.wrong@1',
        /nodes\[0\]\.uses: Step kind test\.wrong@1: resource is "tpu"; use one of cpu, gpu, io/,
      ],
      [
        'test.careless@1',
        /Step kind test\.careless@1: resource fails \(.*undefined.*\); what only a run knows/,
      ],
    ] as const)
      assert.throws(() => pipeline([{ id: 'one', form: 'step', uses, with: {} }]), {
        code: 'INVALID_SPEC',
        message,
      });
  });
});

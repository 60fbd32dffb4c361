/** Which model a plan runs: defaults of the plugin list, options of the provider, and what a model must be able to do. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { z } from 'zod';
import { compilePipelineSpec } from '../../../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { compileTrainSpec } from '../../../core/compile/compile-train-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import type { PlannedStep } from '../../../schemas/plan/pipeline-plan.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';

/** Brings a provider whose models only answer; no word on speeds, no weights. */
const answersOnly: PluginV1 = {
  name: 'answers-only',
  version: '1.0.0',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) =>
    registrar.addLanguageModelProvider({
      id: 'remote',
      optionsSchema: z.strictObject({ region: z.enum(['eu', 'us']).default('eu') }),
      resource: 'io',
      billable: true,
      open: ({ id }) => ({
        specificationVersion: 'v1',
        provider: 'remote',
        modelId: id,
        doGenerate: () => Promise.reject(new Error('not asked')),
      }),
    }),
  close: () => Promise.resolve(),
};

const host = createProjectHost([{ plugin: answersOnly }]);
const REMOTE = { provider: 'remote', id: 'large' };

const planFor = (model: object) => compileSpec({ ...GOOD_SPEC, model }, host);
const refused = (compile: () => unknown, message: RegExp): void => {
  assert.throws(compile, { code: 'INVALID_SPEC', message });
};

suite('the model of a plan', () => {
  after(() => host.close());

  test('is the default of the plugin list, with every option of its provider', () => {
    const expected = { provider: 'nf4-lora', id: 'smollm2-135m-instruct', options: { weightFormat: 'nf4' } };
    assert.deepEqual(compileSpec(GOOD_SPEC, host).spec.model, expected);
    assert.deepEqual(planFor({ provider: 'nf4-lora' }).spec.model, expected);
    assert.deepEqual(planFor({ id: 'other' }).spec.model, { ...expected, id: 'other' });
    assert.deepEqual(planFor(REMOTE).spec.model, { ...REMOTE, options: { region: 'eu' } });
    const zeroShot = planFor(REMOTE).rungs.find(({ id }) => id === 'zero-shot');
    const step = zeroShot?.plan?.nodes.find(({ id }) => id === 'answers') as PlannedStep;
    assert.deepEqual(step.with['model'], { ...REMOTE, options: { region: 'eu' } });
    const icl = planFor(REMOTE).rungs.find(({ id }) => id === 'icl');
    assert.match(JSON.stringify(icl?.plan), /"retriever":"lexical"/);
  });

  test('is refused where its options, its id or its provider are not known', () => {
    const options = (value: object) => ({ ...REMOTE, options: value });
    refused(() => planFor(options({ region: 'mars' })), /\n- model\.options\.region: .*"eu"/);
    refused(() => planFor(options({ zone: 1 })), /\n- model\.options\.zone: is not a known field/);
    refused(() => planFor({ provider: 'remote' }), /\n- model\.id: .*provider "remote" has no default model/);
    refused(() => planFor({ options: { weightFormat: 'int8' } }), /\n- model\.options\.weightFormat: /);
    // Other mistakes are reported with it.
    const two = { ...GOOD_SPEC, model: { provider: 'remot' }, metrics: { primary: { id: 'chrff' } } };
    for (const said of [/model\.provider: .*Did you mean "remote"/, /metrics\.primary\.id: .*"chrff"/])
      refused(() => compileSpec(two, host), said);
  });

  test('has to be named where the plugin list has no default', () => {
    const bare = createPluginHost([{ plugin: answersOnly }]);
    refused(() => compileSpec(GOOD_SPEC, bare), /model\.provider: is missing.*Known: remote/);
    const { target: _, budget: __, ...spec } = GOOD_SPEC;
    refused(() => compileTrainSpec({ ...spec, model: REMOTE }, bare), /trainer: is missing/);
  });

  test('that only answers is not trained, and runs everything else', () => {
    const rungs = new Map(planFor(REMOTE).rungs.map((rung) => [rung.id, rung]));
    assert.equal(rungs.get('peft')?.eligible, false);
    assert.match(rungs.get('peft')?.eligibilityReason ?? '', /weights are not available to trainers/);
    for (const id of ['zero-shot', 'icl']) assert.equal(rungs.get(id)?.eligible, true, id);
    assert.ok((rungs.get('zero-shot')?.estimateSeconds ?? 0) > 0, 'speeds are assumed');
    const { target: _, budget: __, ...spec } = GOOD_SPEC;
    refused(
      () => compileTrainSpec({ ...spec, model: REMOTE }, host),
      /- model: The model "large" of provider "remote" lacks the capability "locateWeights"/,
    );
  });

  test('in a step of a pipeline: completed, checked, and able to do what the step asks', () => {
    const artifact = {
      uri: `artifact:sha256:${'a'.repeat(64)}`,
      sha256: 'a'.repeat(64),
      sizeBytes: 1,
      mediaType: 'x',
    };
    const recipe = { system: '', instruction: 'Go', demonstrations: null, retrieval: null };
    const usual = { provider: 'nf4-lora', id: 'smollm2-135m-instruct', options: { weightFormat: 'nf4' } };
    const compile = (options: object) => {
      const step = { recipe, adapter: null, rows: artifact, ...options };
      const nodes = [{ id: 'loss', form: 'step', uses: 'score.answer-loss@1', with: step }];
      const inputs = { model: REMOTE, usual };
      return compilePipelineSpec({ name: 'own', inputs, nodes }, host).plan.nodes[0] as PlannedStep;
    };
    assert.deepEqual(compile({}).with['model'], usual);
    const tricky = { provider: 'nf4-lora', id: '${inputs.x}' };
    assert.deepEqual(compile({ model: { $literal: tricky } }).with['model'], {
      $literal: { ...tricky, options: { weightFormat: 'nf4' } },
    });
    refused(
      () => compile({ model: REMOTE }),
      /nodes\[0\]\.with\.model: The model "large" of provider "remote" lacks the capability "score"/,
    );
    refused(
      () => compile({ model: { ...usual, options: { weightFormat: 'int8' } } }),
      /with\.model\.options\.weightFormat: /,
    );
    // A reference to an input says which model it is, one to a node's output does not.
    refused(() => compile({ model: '${inputs.model}' }), /lacks the capability "score"/);
    assert.equal(compile({ model: '${inputs.usual}' }).with['model'], '${inputs.usual}');
  });
});

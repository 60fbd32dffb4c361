import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { z } from 'zod';
import { compileTrainSpec } from '../../../core/compile/compile-train-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';

/** Brings a trainer that knows adapters only. */
const adaptersOnly: PluginV1 = {
  name: 'adapters-only',
  version: '1.0.0',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) =>
    registrar.addTrainer({
      specificationVersion: 'v1',
      id: 'small',
      doDescribe: () => Promise.reject(new Error('not asked')),
      doTrain: () => Promise.reject(new Error('not asked')),
    }),
  close: () => Promise.resolve(),
};

const host = createProjectHost([{ plugin: adaptersOnly }]);

const spec = (changes: object): object => ({
  name: 'tiny',
  task: { instruction: 'Say it.' },
  data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
  model: { id: 'tiny', options: { weightFormat: 'f32' } },
  ...changes,
});

suite('compiling a training', () => {
  after(() => host.close());

  test('the method chooses the step', () => {
    const step = (config: object) => compileTrainSpec(spec({ config }), host).plan.train;
    assert.equal(step({}).uses, 'train.adapter@1');
    assert.equal(step({ method: 'lora', r: 4 }).uses, 'train.adapter@1');
    const full = step({ method: 'full' });
    assert.equal(full.uses, 'train.full@1');
    assert.equal((full.with['config'] as { learningRate: number }).learningRate, 2e-5);
  });

  test('full fine-tuning wants 32 bits and a trainer that can; fields of adapters are not theirs', () => {
    const model = { provider: 'nf4-lora', id: 'tiny' };
    const config = { method: 'full' };
    const refused = (changes: object, message: RegExp): void => {
      assert.throws(() => compileTrainSpec(spec(changes), host), { code: 'INVALID_SPEC', message });
    };
    refused({ config, model }, /model\.options\.weightFormat: .*"f32"/);
    refused({ config, trainer: 'small' }, /trainer: "small" trains adapters only/);
    refused({ config: { method: 'full', r: 8 } }, /config\.r: is not a known field here\./);
    refused({ config: { method: 'half' } }, /config\.method/);
    compileTrainSpec(spec({ trainer: 'small' }), host);
  });
});

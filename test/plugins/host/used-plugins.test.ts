import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { actionKey } from '../../../core/store/action-cache.ts';
import { Registry } from '../../../plugins/host/registry.ts';
import { usedPlugins } from '../../../plugins/host/used-plugins.ts';
import type { ComponentRefs } from '../../../plugins/sdk/contracts/component-refs.ts';
import type { RetrieverV1 } from '../../../plugins/sdk/contracts/retriever.ts';
import type { StepKindV1 } from '../../../plugins/sdk/contracts/step-kind.ts';
import type { TrainerV1 } from '../../../plugins/sdk/contracts/trainer.ts';
import { answeringModel } from '../../../plugins/sdk/testing/answering-model.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';

const names: ComponentRefs = {
  model: 'models',
  trainer: 'trainers',
  'recipes.retrieval.retriever': 'retrievers',
};
const KIND = 'test.use@1';

/** Four plugins, each with one component, and a fifth that the step does not use. */
function registryWith(versions: Readonly<Record<string, string>> = {}): Registry {
  const registry = new Registry();
  const by = (owner: string) => registry.registrarFor(owner, versions[owner] ?? '1.0.0');
  const times = { startToCloseTimeoutMs: 60_000, heartbeatTimeoutMs: 5000 };
  by('kinds').addStepKind({ kind: KIND, resource: 'cpu', retry: 'readOnly', ...times } as StepKindV1);
  by('models').addLanguageModelProvider({
    id: 'hosted',
    resource: 'io',
    billable: true,
    optionsSchema: z.strictObject({}),
    open: () => answeringModel(() => 'yes'),
  });
  by('trainers').addTrainer({ id: 'quick' } as TrainerV1);
  by('search').addRetriever({ id: 'words' } as RetrieverV1);
  by('other').addRetriever({ id: 'letters' } as RetrieverV1);
  return registry;
}

const INPUT: JsonObject = {
  model: { provider: 'hosted', id: 'm' },
  trainer: 'quick',
  recipes: [{ shots: 0 }, { shots: 1, retrieval: { retriever: 'words' } }],
};

test('a step uses the plugin of its kind and those of the components that its options name', () => {
  const plugins = usedPlugins({ kind: KIND, names }, INPUT, registryWith({ models: '2.1.0' }));
  assert.deepEqual(plugins, { kinds: '1.0.0', models: '2.1.0', search: '1.0.0', trainers: '1.0.0' });
  assert.deepEqual(usedPlugins({ kind: KIND }, INPUT, registryWith()), { kinds: '1.0.0' });
  assert.deepEqual(usedPlugins({ kind: KIND, names }, { model: 7, trainer: 7 }, registryWith()), {
    kinds: '1.0.0',
  });
});

test('another version of a plugin that a step uses gives another cache key; of one that it does not, the same', () => {
  const keyWith = (versions: Readonly<Record<string, string>>): string =>
    actionKey({
      kind: KIND,
      input: INPUT,
      plugins: usedPlugins({ kind: KIND, names }, INPUT, registryWith(versions)),
      salt: '',
    });
  const usual = keyWith({});
  assert.equal(keyWith({ other: '2.0.0' }), usual);
  const keys = ['kinds', 'models', 'trainers', 'search'].map((name) => keyWith({ [name]: '2.0.0' }));
  assert.equal(new Set([usual, ...keys]).size, 5);
});

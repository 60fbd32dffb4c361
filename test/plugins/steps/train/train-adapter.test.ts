/** What a trained adapter depends on, beside its settings. */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { FileStore } from '../../../../core/store/file-store.ts';
import { createServices } from '../../../../activities/services.ts';
import { trainAdapter } from '../../../../plugins/steps/train/train-adapter.ts';
import type { LanguageModelV1 } from '../../../../plugins/sdk/contracts/language-model.ts';
import { Registry } from '../../../../plugins/host/registry.ts';
import { countingModel } from '../../../../plugins/sdk/testing/counting-model.ts';
import { trainerWith } from '../../process-trainer/support/train.ts';
import { parseValue } from '../../../../plugins/sdk/schema-check/check-value.ts';

const REF = {
  uri: `artifact:sha256:${'a'.repeat(64)}`,
  sha256: 'a'.repeat(64),
  sizeBytes: 1,
  mediaType: 'x',
};

/** The salt of a training by this trainer on a model of this provider. */
async function saltOf(faults: readonly string[], model: Partial<LanguageModelV1>): Promise<string> {
  const registry = new Registry();
  const registrar = registry.registrarFor('test', '1.0.0');
  registrar.addTrainer(trainerWith(faults));
  registrar.addLanguageModelProvider({
    id: 'testing',
    optionsSchema: z.strictObject({}),
    resource: 'cpu',
    billable: false,
    open: ({ id }) => ({ ...countingModel(id), ...model }),
  });
  const store = new FileStore(await mkdtemp(join(tmpdir(), 'escada-salt-')));
  const input = parseValue(trainAdapter.withSchema, {
    trainer: 'small',
    model: { provider: 'testing', id: 'words' },
    recipe: { system: '', instruction: 'Say it.', demonstrations: null, retrieval: null },
    rows: REF,
    config: {},
  });
  const services = createServices({ registry, store, dataRoots: [] });
  return (await trainAdapter.doCacheSalt?.(input, services, new AbortController().signal)) ?? '';
}

const HERE = { doLocateWeights: async () => '/models/words' };

suite('cache key of a training', () => {
  test('names the trainer and its build, and the weights', async () => {
    const salt = await saltOf([], HERE);
    assert.match(salt, /^counting:words chain of hashes 1 a /);
    assert.equal(await saltOf([], HERE), salt);
    assert.notEqual(await saltOf(['other-build'], HERE), salt);
  });

  test('a provider that has no weights to hand out cannot be trained on', async () => {
    await assert.rejects(saltOf([], {}), {
      code: 'MODEL_CAPABILITY_MISSING',
      message: /model "words" of provider "testing" lacks the capability "locateWeights"/,
    });
    const anonymous = { ...HERE, doDescribe: async () => ({ cacheKey: 'x' }) };
    await assert.rejects(saltOf([], anonymous), {
      code: 'MODEL_CAPABILITY_MISSING',
      message: /states no digest of the weights of "words"/,
    });
  });
});

/** A recipe with demonstrations and retrieval gives one prompt per row, wherever prompts are made; the model is real. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { createStepActivities } from '../../../../activities/step-activities.ts';
import { FileStore } from '../../../../core/store/file-store.ts';
import { createProjectHost } from '../../../../plugins.ts';
import type { LanguageModelV1, Message } from '../../../../plugins/sdk/contracts/language-model.ts';
import type { PluginV1 } from '../../../../plugins/sdk/contracts/plugin.ts';
import type { JsonObject } from '../../../../schemas/common/json.ts';
import type { StepResult } from '../../../../schemas/plan/pipeline-plan.ts';
import { TINY_MODEL, TRAIN_CONFIG } from '../../nf4-lora/support.ts';

type Asked = Record<string, readonly Message[]>;

/** Prompts by row, as they reached the model or the trainer, by what was asked. */
const asked: Record<string, Asked> = {};

const note = (
  what: string,
  rows: readonly { readonly id: string; readonly messages: readonly Message[] }[],
) => {
  asked[what] = Object.fromEntries(rows.map(({ id, messages }) => [id, messages]));
};

const real = createProjectHost();

/** The real provider and trainer, watched. */
const watched: PluginV1 = {
  name: 'watched',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    const provider = real.registry.providers.get('nf4-lora');
    const trainer = real.registry.trainers.get('nf4-lora');
    registrar.addLanguageModelProvider({
      id: 'watched',
      optionsSchema: provider.optionsSchema,
      resource: provider.resource,
      billable: provider.billable,
      assumedTokensPerSecond: provider.assumedTokensPerSecond,
      open: (choice) => watchedModel(provider.open(choice)),
    });
    registrar.addTrainer({
      specificationVersion: 'v1',
      id: 'watched',
      doDescribe: (model, signal) => trainer.doDescribe(model, signal),
      doTrain: async (request) => {
        note('train', request.rows);
        note('samples', request.sampleRows ?? []);
        return await trainer.doTrain(request);
      },
    });
  },
  close: async () => undefined,
};

function watchedModel(model: LanguageModelV1): LanguageModelV1 {
  return new Proxy(model, {
    get: (target, name: keyof LanguageModelV1) => {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      return (request?: { readonly rows?: []; readonly check?: { readonly rows: [] } }) => {
        const rows = request?.rows ?? request?.check?.rows;
        if (rows !== undefined) note(name, rows);
        return (member as (request: unknown) => unknown).call(target, request);
      };
    },
  });
}

const host = createProjectHost([{ plugin: watched }]);
const WORDS = ['amber', 'birch', 'coral', 'dune', 'ember', 'fjord', 'grove', 'haze'];

suite('one recipe, one prompt', () => {
  let folder = '';
  let run: (kind: string, input: JsonObject) => Promise<JsonObject>;
  let given: { readonly rows: JsonObject; readonly recipe: JsonObject; readonly adapter: JsonObject };
  const model = { provider: 'watched', id: TINY_MODEL };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-recipe-'));
    const store = new FileStore(join(folder, 'store'));
    const activities = createStepActivities({ host, store, dataRoots: [folder] });
    run = async (kind, input) => {
      const activity = activities[kind] as unknown as (input: JsonObject) => Promise<StepResult>;
      return (
        await new MockActivityEnvironment().run<[JsonObject], StepResult, typeof activity>(activity, input)
      ).output;
    };
    const lines = WORDS.map((word, at) => ({ input: `what is ${word}`, output: `answer ${word} ${at}` }));
    await writeFile(join(folder, 'rows.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const columns = { input: 'input', output: 'output' };
    const read = await run('curate.read@1', { source: { path: 'rows.jsonl' }, columns });
    const rows = read['dataset'] as JsonObject;
    const { index = null } = await run('retrieve.index@1', {
      rows,
      indexed: 'examples',
      retriever: 'lexical',
    });
    const recipe = {
      system: '',
      instruction: 'Say it.',
      demonstrations: { rows, shots: 2, selection: 'nearest', retriever: 'lexical' },
      retrieval: { retriever: 'lexical', index, topK: 2 },
    };
    const config = { ...TRAIN_CONFIG, maxSteps: 2, maxSeqLengthTokens: 400 };
    const trained = await run('train.adapter@1', {
      ...{ trainer: 'watched', model, recipe, rows, samples: rows },
      config,
    });
    given = { rows, recipe, adapter: trained['adapter'] as JsonObject };
  });
  after(async () => {
    await host.close();
    await real.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('what is trained on has demonstrations and passages, and never the answer of its own row', () => {
    const prompts = Object.values(asked['train'] ?? {});
    assert.equal(prompts.length, WORDS.length);
    for (const [at, word] of WORDS.entries()) {
      const messages = prompts[at] ?? [];
      const text = JSON.stringify(messages);
      assert.equal(messages.filter(({ role }) => role === 'assistant').length, 2, 'two demonstrations');
      assert.equal(messages.at(-1)?.content.split('\n\n').length, 3, 'two passages and the question');
      assert.ok(!text.includes(`answer ${word}`), text);
    }
    assert.deepEqual(asked['samples'], asked['train']);
  });

  test('answering, loss, counting and the check of an export ask the same', async () => {
    const { rows, recipe, adapter } = given;
    const { predictions = null } = await run('generate.answers@1', {
      ...{ model, recipe, adapter, rows, maxNewTokens: 4, seed: 1 },
    });
    assert.deepEqual(asked['doGenerate'], asked['train']);
    await run('score.answer-loss@1', { model, recipe, adapter, rows });
    assert.deepEqual(asked['doScore'], asked['train']);
    await run('select.fitting@1', { model, recipes: [recipe], rows, maxNewTokens: 4 });
    assert.deepEqual(asked['doCountTokens'], asked['train']);
    const check = { predictions, recipe, maxNewTokens: 4 };
    await run('model.export@1', { model, adapter, format: 'gguf-f32', check });
    assert.deepEqual(asked['doExport'], asked['train']);
  });
});

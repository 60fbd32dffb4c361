import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { createPluginHost, type PluginHost } from '../../../plugins/host/host.ts';
import { parseValue } from '../../../plugins/sdk/schema-check/check-value.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import {
  baseModel,
  FULL_CONFIG,
  inFolder,
  openModel,
  TINY_MODEL,
  TRAIN_CONFIG,
  trainRows,
} from './support.ts';

const signal = new AbortController().signal;

async function withHost<T>(work: (host: PluginHost) => Promise<T>, options: object = {}): Promise<T> {
  const host = createPluginHost([{ plugin: createNf4LoraPlugin(), options }]);
  try {
    return await work(host);
  } finally {
    await host.close();
  }
}

const length = (vector: Iterable<number>): number => Math.hypot(...vector);

const GENERATE = {
  rows: trainRows(5).map(({ id, messages }) => ({ id, messages })),
  maxTokens: 8,
  signal,
};

suite('nf4-lora plugin', () => {
  test('describes, counts, generates and scores through the contract', async () => {
    await withHost(async ({ registry }) => {
      const model = openModel({ registry });
      const description = await model.doDescribe(signal);
      assert.equal(description.contextTokens, 512);
      assert.deepEqual(await model.doDescribe(signal), description);
      const { rows } = GENERATE;
      const { counts } = await model.doCountTokens({ rows, signal });
      const generated = await model.doGenerate(GENERATE);
      assert.deepEqual(
        generated.answers.map(({ id, usage }) => ({ id, promptTokens: usage.promptTokens })),
        rows.map(({ id }, index) => ({ id, promptTokens: counts[index]?.promptTokens })),
      );
      const continuations = ['yes', 'no'];
      const { scores } = await model.doScore({
        rows: rows.map((row) => ({ ...row, continuations })),
        signal,
      });
      assert.deepEqual(
        scores.map((row) => [row.id, row.continuations.length]),
        rows.map(({ id }) => [id, 2]),
      );
    });
  });

  test('trains an adapter that changes the answers', async () => {
    await inFolder(async (folder) => {
      await withHost(async ({ registry }) => {
        const steps: number[] = [];
        const trained = await registry.trainers.get('nf4-lora').doTrain({
          model: baseModel(),
          rows: trainRows(40),
          config: TRAIN_CONFIG,
          outDir: join(folder, 'out'),
          signal,
          onProgress: ({ step }) => steps.push(step),
        });
        assert.equal(steps.length, 60);
        assert.equal(trained.losses.length, 60);
        assert.ok(trained.lossLastNats < trained.lossFirstNats);
        const model = openModel({ registry });
        const plain = await model.doGenerate(GENERATE);
        const adapted = await model.doGenerate({ ...GENERATE, adapterPath: trained.adapterPath });
        const texts = (result: typeof plain): string[] => result.answers.map((answer) => answer.text);
        assert.notDeepEqual(texts(adapted), texts(plain));
        const { adapterPath } = trained;
        const rows = GENERATE.rows.map((row, index) => (index % 2 === 0 ? { ...row, adapterPath } : row));
        const mixed = await model.doGenerate({ ...GENERATE, rows });
        assert.deepEqual(
          texts(mixed),
          texts(adapted).map((text, index) => (index % 2 === 0 ? text : texts(plain)[index])),
        );
        const nowhere = rows.map((row) => ({ ...row, adapterPath: join(folder, 'nowhere') }));
        await assert.rejects(model.doGenerate({ ...GENERATE, rows: nowhere }), {
          code: 'ENGINE_REQUEST_INVALID',
          message: /request 1 \(id "r0"\), adapterPath/,
        });
      });
    });
  });

  test('full fine-tuning: the model it writes answers for itself', async () => {
    await inFolder(async (folder) => {
      await withHost(async ({ registry }) => {
        const trainer = registry.trainers.get('nf4-lora');
        if (trainer.doTrainFull === undefined) assert.fail('the engine has full fine-tuning');
        const request = {
          model: baseModel(TINY_MODEL, 'f32'),
          rows: trainRows(40),
          config: FULL_CONFIG,
          outDir: join(folder, 'out'),
          signal,
          onProgress: () => undefined,
        };
        const trained = await trainer.doTrainFull(request);
        assert.equal(trained.losses.length, 20);
        assert.ok(trained.lossLastNats < trained.lossFirstNats);
        const open = (id: string) => openModel({ registry }, id, { weightFormat: 'f32' });
        const [tuned, base] = [open(trained.modelPath), open(TINY_MODEL)];
        const digests = await Promise.all([tuned.doDescribe(signal), base.doDescribe(signal)]);
        assert.notEqual(digests[0].weightsDigest, digests[1].weightsDigest);
        const texts = async (model: typeof base) =>
          (await model.doGenerate(GENERATE)).answers.map(({ text }) => text);
        assert.notDeepEqual(await texts(tuned), await texts(base));
        await assert.rejects(trainer.doTrainFull({ ...request, model: baseModel() }), {
          code: 'ENGINE_REQUEST_INVALID',
          message: /weightFormat "f32"/,
        });
      });
    });
  });

  test('only prompts and signal are mandatory; settings of its own are checked', async () => {
    await withHost(async ({ registry }) => {
      const model = openModel({ registry });
      const answer = async (request: object) =>
        (await model.doGenerate({ ...GENERATE, ...request })).answers.map(({ text }) => text);
      const defaults = { temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, seed: 0, stop: [] };
      assert.deepEqual(await answer({}), await answer(defaults));
      assert.deepEqual(await answer({ providerOptions: { batchRows: 1 } }), await answer({}));
      const unknown = { code: 'ENGINE_REQUEST_INVALID', message: /providerOptions.*batchRow/ };
      await assert.rejects(answer({ providerOptions: { batchRow: 1 } }), unknown);
      const embedding = { rows: [{ id: '1', text: 'a' }], signal, providerOptions: { batchRows: 1 } };
      await assert.rejects(model.doEmbed(embedding), { code: 'ENGINE_REQUEST_INVALID' });
      const { rows } = GENERATE;
      const { answers } = await model.doGenerate({ rows: rows.slice(0, 1), signal });
      assert.ok((answers[0]?.usage.completionTokens ?? 999) <= 256);
    });
  });

  test('options of a model are its own schema; full fine-tuning needs f32', async () => {
    await withHost(async ({ registry }) => {
      assert.throws(() => openModel({ registry }, TINY_MODEL, { weightFormat: 'int8' }), {
        code: 'INVALID_SPEC',
        message: /model\.options\.weightFormat/,
      });
      const provider = registry.providers.get('nf4-lora');
      assert.deepEqual([provider.resource, provider.billable], ['gpu', false]);
      assert.deepEqual(parseValue(provider.optionsSchema, {}), { weightFormat: 'nf4' });
      const trainer = registry.trainers.get('nf4-lora');
      const issues = (format: 'nf4' | 'f32', method: 'lora' | 'full') =>
        trainer.findIssues?.(baseModel(TINY_MODEL, format), { method }).map(({ path }) => path);
      assert.deepEqual(issues('nf4', 'full'), ['model.options.weightFormat']);
      assert.deepEqual([issues('f32', 'full'), issues('nf4', 'lora')], [[], []]);
      const foreign = { ...baseModel(), provider: 'others', weightFormat: 'int8' };
      await assert.rejects(trainer.doDescribe(foreign, signal), {
        code: 'TRAINER_UNSUPPORTED',
        message: /provider "others" are held as int8; it takes nf4, f32/,
      });
      const own = await trainer.doDescribe(baseModel(), signal);
      assert.deepEqual(await trainer.doDescribe({ ...foreign, weightFormat: 'nf4' }, signal), own);
    });
  });

  test('sampling follows its options', async () => {
    await withHost(async ({ registry }) => {
      const model = openModel({ registry });
      const texts = async (how: object): Promise<string[]> =>
        (await model.doGenerate({ ...GENERATE, ...how })).answers.map(({ text }) => text);
      const greedy = await texts({});
      const hot = await texts({ temperature: 1.5 });
      assert.notDeepEqual(hot, greedy);
      assert.deepEqual(await texts({ temperature: 1.5, topK: 0, minP: 0, repetitionPenalty: 1 }), hot);
      // One token is left to draw from: the most probable one.
      assert.deepEqual(await texts({ temperature: 1.5, topK: 1 }), greedy);
      assert.deepEqual(await texts({ temperature: 1.5, minP: 1 }), greedy);
      assert.notDeepEqual(await texts({ repetitionPenalty: 5 }), greedy);
      for (const [field, value] of Object.entries({ minP: 1.5, repetitionPenalty: 0 })) {
        const asked = model.doGenerate({ ...GENERATE, [field]: value });
        await assert.rejects(asked, { code: 'ENGINE_REQUEST_INVALID', message: new RegExp(field) });
      }
    });
  });

  test('embeds as transformers does', async () => {
    const golden = JSON.parse(await readFile(join(TINY_MODEL, 'golden-embed.json'), 'utf8')) as {
      texts: { text: string; ids: number[]; base: number[]; adapted: number[] }[];
    };
    const adapterPath = join(TINY_MODEL, 'adapter');
    await withHost(async ({ registry }) => {
      const model = openModel({ registry }, TINY_MODEL, { weightFormat: 'f32' });
      const rows = golden.texts.map(({ text }, index) => ({
        id: `${index}`,
        text,
        ...(index % 2 === 0 ? {} : { adapterPath }),
      }));
      const ask = { rows, signal };
      const { embeddings } = await model.doEmbed(ask);
      assert.deepEqual(
        embeddings.map(({ id, tokens }) => [id, tokens]),
        golden.texts.map(({ ids }, index) => [`${index}`, ids.length]),
      );
      const unit = (await model.doEmbed({ ...ask, normalize: true })).embeddings;
      for (const [index, { base, adapted }] of golden.texts.entries()) {
        const wanted = index % 2 === 0 ? base : adapted;
        const vector = embeddings[index]?.vector ?? new Float32Array();
        assert.equal(vector.length, wanted.length);
        const difference = vector.map((x, at) => x - (wanted[at] ?? NaN));
        assert.ok(length(difference) <= 1e-5 * length(wanted), `text ${index}`);
        assert.ok(Math.abs(length(unit[index]?.vector ?? []) - 1) < 1e-6);
      }
      const empty = { ...ask, rows: [{ id: 'x', text: '' }] };
      await assert.rejects(model.doEmbed(empty), {
        code: 'ENGINE_REQUEST_INVALID',
        message: /request 1, text/,
      });
    });
  });

  test('a config that makes no sense names its field', async () => {
    await inFolder(async (folder) => {
      await withHost(async ({ registry }) => {
        const training = registry.trainers.get('nf4-lora').doTrain({
          model: baseModel(),
          rows: trainRows(4),
          config: { ...TRAIN_CONFIG, learningRate: -1 },
          outDir: join(folder, 'out'),
          signal,
          onProgress: () => undefined,
        });
        await assert.rejects(training, { code: 'ENGINE_REQUEST_INVALID', message: /learningRate/ });
      });
    });
  });

  test('a model that is not there has its code', async () => {
    await withHost(async ({ registry }) => {
      const model = openModel({ registry }, `${TINY_MODEL}-gone`);
      await assert.rejects(model.doGenerate(GENERATE), { code: 'MODEL_NOT_FOUND' });
    });
  });

  test('unknown options are refused at registration', () => {
    const listed = [{ plugin: createNf4LoraPlugin(), options: { batch: 3 } }];
    assert.throws(() => createPluginHost(listed), { code: 'PLUGIN_OPTIONS_INVALID' });
  });
});

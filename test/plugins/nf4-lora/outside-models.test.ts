/** Models as they come from outside, through the plugin: what is wrong is said once and for all, and the rest works. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ERROR_CODES } from '../../../schemas/errors/error-codes.ts';
import { isEscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import type { EngineLanguageModel } from '../../../plugins/nf4-lora/worker/engine-language-model.ts';
import type { TrainerV1 } from '../../../plugins/sdk/contracts/trainer.ts';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { findModelPath, modelRootsWith } from '../../../plugins/sdk/model-folder/model-path.ts';
import { baseModel, inFolder, openModel, TINY_MODEL, TRAIN_CONFIG, trainRows } from './support.ts';

const { signal } = new AbortController();
const TEXTS = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];

/** Models of a folder, whose absolute paths are ids. */
async function withModels(
  work: (
    folder: string,
    open: (path: string) => EngineLanguageModel,
    trainer: () => TrainerV1,
  ) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const env = { ESCADA_CACHE_DIR: folder, ESCADA_MODEL_ROOTS: modelRootsWith(folder, {}) };
    const plugin = createNf4LoraPlugin((id) => findModelPath(id, env));
    const host = createPluginHost([{ plugin, options: { threads: 1 } }]);
    try {
      const open = (path: string) => openModel(host, join(folder, path));
      await work(folder, open, () => host.registry.trainers.get('nf4-lora'));
    } finally {
      await host.close();
    }
  });
}

async function copyFiles(to: string, names: readonly string[]): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of names) await cp(join(TINY_MODEL, name), join(to, name));
}

const ask = (id: string, content: string) => ({
  rows: [
    {
      id,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content },
      ] as const,
    },
  ],
  maxTokens: 3,
  signal,
});

suite('models from outside', () => {
  test('a folder without what a model needs has a final code and says what is there', async () => {
    await withModels(async (folder, open) => {
      await copyFiles(join(folder, 'shards'), TEXTS);
      await writeFile(join(folder, 'shards', 'model-00001-of-00002.safetensors'), '');
      await copyFiles(join(folder, 'pickle'), TEXTS);
      await writeFile(join(folder, 'pickle', 'pytorch_model.bin'), '');
      await copyFiles(join(folder, 'words'), ['config.json', 'model.safetensors']);
      await writeFile(join(folder, 'words', 'tokenizer.model'), '');
      await cp(join(TINY_MODEL, 'adapter'), join(folder, 'adapter'), { recursive: true });
      const cases = [
        ['shards', /no model\.safetensors\.index\.json/],
        ['pickle', /only pytorch_model\.bin/],
        ['words', /no tokenizer\.json, only tokenizer\.model/],
        ['adapter', /an adapter .*, not a model/],
      ] as const;
      for (const [name, says] of cases) {
        await assert.rejects(open(name).inspect(signal), (error: unknown) => {
          assert.ok(isEscadaFailure(error), String(error));
          assert.equal(error.code, 'MODEL_INCOMPLETE');
          assert.equal(ERROR_CODES[error.code].retryable, false);
          assert.match(error.message, says);
          assert.ok(error.message.includes(join(folder, name)), error.message);
          return true;
        });
      }
    });
  });

  test('a lone GGUF file opens by its folder', async () => {
    await withModels(async (folder, open) => {
      await mkdir(join(folder, 'one'));
      const gguf = join(TINY_MODEL, '../gguf/tiny-llama.gguf');
      await cp(gguf, join(folder, 'one', 'weights.gguf'));
      assert.equal((await open('one').inspect(signal)).chatTemplate, 'GGUF metadata');
    });
  });

  test('a replaced chat template is another model, also while the old one is loaded', async () => {
    await withModels(async (folder, open) => {
      await copyFiles(join(folder, 'm'), [...TEXTS, 'model.safetensors']);
      const before = await open('m').inspect(signal);
      assert.deepEqual([before.chatTemplate, before.systemTurns], ['tokenizer_config.json', 'own']);
      const plain = await open('m').doCountTokens({ ...ask('1', 'Hi'), signal });
      await writeFile(
        join(folder, 'm', 'chat_template.jinja'),
        "{% for m in messages %}{% generation %}{{ '%s' % m.content }}{% endgeneration %}{% endfor %}",
      );
      const behind = await open('m').inspect(signal);
      assert.equal(behind.chatTemplate, 'chat_template.jinja');
      assert.notEqual(behind.modelDigest, before.modelDigest);
      assert.notDeepEqual(await open('m').doCountTokens({ ...ask('1', 'Hi'), signal }), plain);
    });
  });

  test('without a template the plain one is used and said, and no system role is said', async () => {
    await withModels(async (folder, open) => {
      const path = join(folder, 'm');
      await copyFiles(path, [...TEXTS, 'model.safetensors']);
      const config = JSON.parse(await readFile(join(path, 'tokenizer_config.json'), 'utf8')) as object;
      await writeFile(
        join(path, 'tokenizer_config.json'),
        JSON.stringify({ ...config, chat_template: undefined }),
      );
      const base = await open('m').inspect(signal);
      assert.deepEqual([base.chatTemplate, base.systemTurns], ['default', 'own']);
      const said = async () => (await open('m').doDescribe(signal)).details?.['Chat template'];
      assert.equal(await said(), 'none of its own: plain text, answer behind the input');
      assert.equal((await open('m').doGenerate(ask('1', 'Hi'))).answers.length, 1);
      await writeFile(
        join(path, 'chat_template.jinja'),
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
      );
      assert.equal((await open('m').inspect(signal)).systemTurns, 'merged');
      assert.equal(await said(), 'no system role: system text in front of the user turn');
      await rm(join(path, 'chat_template.jinja'));
      assert.deepEqual(await open('m').inspect(signal), base);
    });
  });

  test('a training on such a model says so', async () => {
    await withModels(async (folder, _, trainer) => {
      const path = join(folder, 'm');
      await copyFiles(path, [...TEXTS, 'model.safetensors']);
      await writeFile(
        join(path, 'chat_template.jinja'),
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}{{ eos_token }}{% endfor %}",
      );
      const trained = await trainer().doTrain({
        model: baseModel(path),
        rows: trainRows(4),
        config: { ...TRAIN_CONFIG, maxSteps: 2, warmupSteps: 0 },
        outDir: join(folder, 'out'),
        signal,
        onProgress: () => undefined,
      });
      const warned = trained.warnings?.filter(({ kind }) => kind === 'chat-template');
      assert.equal(warned?.length, 1);
      assert.match(warned[0]?.message ?? '', /no system role: system text is put in front/);
    });
  });

  test('a prompt beyond the context names row, tokens and context', async () => {
    await withModels(async (folder, open) => {
      await copyFiles(join(folder, 'm'), [...TEXTS, 'model.safetensors']);
      await assert.rejects(open('m').doGenerate(ask('row-7', 'word '.repeat(600))), (error: unknown) => {
        assert.ok(isEscadaFailure(error), String(error));
        assert.equal(error.code, 'PROMPT_TOO_LONG');
        assert.equal(ERROR_CODES[error.code].retryable, false);
        const { row, tokens, contextTokens } = error.fields;
        assert.deepEqual([row, contextTokens], ['row-7', 512]);
        assert.ok(Number(tokens) > 512);
        return true;
      });
    });
  });
});

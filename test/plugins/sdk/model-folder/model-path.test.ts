import assert from 'node:assert/strict';
import { mkdir, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { modelKey } from '../../../../plugins/nf4-lora/worker/model-key.ts';
import { findModelPath, modelRootsWith } from '../../../../plugins/sdk/model-folder/model-path.ts';
import { inFolder, TINY_MODEL } from '../../nf4-lora/support.ts';

suite('findModelPath', () => {
  test('finds a fetched file, a fetched folder, and the file of the environment', async () => {
    await inFolder(async (folder) => {
      const env = { ESCADA_CACHE_DIR: folder };
      for (const [id, name] of [
        ['a', 'weights.gguf'],
        ['b', 'config.json'],
      ] as const) {
        await mkdir(join(folder, 'models', id), { recursive: true });
        await writeFile(join(folder, 'models', id, name), '');
      }
      assert.equal(await findModelPath('a', env), join(folder, 'models', 'a', 'weights.gguf'));
      assert.equal(await findModelPath('b', env), join(folder, 'models', 'b'));
      assert.equal(await findModelPath('a', { ...env, ESCADA_MODEL_PATH: TINY_MODEL }), TINY_MODEL);
    });
  });

  test('takes an absolute path from the roots only, and from where links lead', async () => {
    await inFolder(async (folder) => {
      const [open, shut] = [join(folder, 'open'), join(folder, 'shut')];
      for (const path of [join(open, 'm'), join(shut, 'm')]) await mkdir(path, { recursive: true });
      await symlink(join(shut, 'm'), join(open, 'link'));
      await symlink(join(open, 'm'), join(open, 'inner'));
      const cache = { ESCADA_CACHE_DIR: join(folder, 'cache') };
      const env = { ...cache, ESCADA_MODEL_ROOTS: [join(folder, 'none'), open].join(delimiter) };
      assert.equal(await findModelPath(join(open, 'm'), env), join(open, 'm'));
      assert.equal(await findModelPath(join(open, 'inner'), env), join(open, 'inner'));
      assert.equal(await findModelPath(TINY_MODEL, { ...cache, ESCADA_MODEL_PATH: TINY_MODEL }), TINY_MODEL);
      await assert.rejects(findModelPath(join(open, 'gone'), env), { code: 'MODEL_NOT_FOUND' });
      const closed = [
        [join(open, 'link'), env],
        [join(shut, 'm'), env],
        [join(shut, 'gone'), env],
        [`${open}er`, env],
        [join(open, '../shut/m'), env],
        [join(open, 'm'), cache],
        ['/etc/passwd', env],
      ] as const;
      for (const [path, where] of closed) {
        await assert.rejects(findModelPath(path, where), {
          code: 'PATH_OUTSIDE_MODEL_ROOTS',
          message: /ESCADA_MODEL_ROOTS/,
        });
      }
      const one = join(shut, 'm');
      assert.equal(await findModelPath(one, { ...env, ESCADA_MODEL_ROOTS: modelRootsWith(one, env) }), one);
      assert.equal(
        await findModelPath(one, { ...cache, ESCADA_MODEL_ROOTS: modelRootsWith(one, cache) }),
        one,
      );
    });
  });

  test('a folder with one GGUF file and no safetensors is that file', async () => {
    await inFolder(async (folder) => {
      const env = { ESCADA_CACHE_DIR: join(folder, 'cache'), ESCADA_MODEL_ROOTS: folder };
      const file = join(folder, 'm.Q8_0.gguf');
      await writeFile(file, '');
      assert.equal(await findModelPath(folder, env), file);
      assert.equal(await findModelPath('a', { ...env, ESCADA_MODEL_PATH: folder }), file);
      await writeFile(join(folder, 'model.safetensors'), '');
      assert.equal(await findModelPath(folder, env), folder);
    });
  });

  test('says what was tried, and does not leave its folder', async () => {
    await inFolder(async (folder) => {
      const env = { ESCADA_CACHE_DIR: join(folder, 'cache') };
      for (const id of ['none', '..', '../..', '.hidden']) {
        await assert.rejects(findModelPath(id, env), {
          code: 'MODEL_NOT_FOUND',
          message: /looked at .*models/,
        });
      }
      await assert.rejects(findModelPath('org/name', env), {
        message: /Run `escada model pull org\/name` and use the id that it prints/,
      });
      await assert.rejects(
        findModelPath('a', { ESCADA_MODEL_PATH: '/nowhere/x.gguf' }),
        /looked at \/nowhere\/x\.gguf/,
      );
    });
  });
});

suite('modelKey', () => {
  test('differs by file, by format and after a change of the file', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'm.gguf');
      await writeFile(path, 'one');
      const first = await modelKey({ path, weightFormat: 'nf4' });
      assert.equal(await modelKey({ path, weightFormat: 'nf4' }), first);
      assert.notEqual(await modelKey({ path, weightFormat: 'f32' }), first);
      await writeFile(path, 'other');
      assert.notEqual(await modelKey({ path, weightFormat: 'nf4' }), first);
    });
  });

  test('differs after a change of any part of a folder, even one that keeps size and time', async () => {
    await inFolder(async (folder) => {
      const source = { path: folder, weightFormat: 'nf4' } as const;
      const keys = [await modelKey(source)];
      const write = async (name: string, text: string) => {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        // In the place of the old file, as editors and copies write.
        await writeFile(`${join(folder, name)}.new`, text);
        await utimes(`${join(folder, name)}.new`, 1, 1);
        await rename(`${join(folder, name)}.new`, join(folder, name));
        keys.push(await modelKey(source));
      };
      await write('config.json', '{}');
      await write('chat_template.jinja', 'one');
      await write('chat_template.jinja', 'two');
      await write('additional_chat_templates/default.jinja', 'one');
      await write('additional_chat_templates/default.jinja', 'two');
      assert.equal(new Set(keys).size, keys.length);
      await writeFile(join(folder, 'README.md'), 'no part of it');
      assert.equal(await modelKey(source), keys.at(-1));
    });
  });

  test('a missing model has its code', async () => {
    await assert.rejects(modelKey({ path: '/nowhere', weightFormat: 'nf4' }), { code: 'MODEL_NOT_FOUND' });
  });
});

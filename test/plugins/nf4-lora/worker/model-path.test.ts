import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { modelKey } from '../../../../plugins/nf4-lora/worker/model-key.ts';
import { findModelPath } from '../../../../plugins/nf4-lora/worker/model-path.ts';
import { inFolder, TINY_MODEL } from '../support.ts';

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
      assert.equal(await findModelPath(TINY_MODEL, env), TINY_MODEL);
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

  test('a missing model has its code', async () => {
    await assert.rejects(modelKey({ path: '/nowhere', weightFormat: 'nf4' }), { code: 'MODEL_NOT_FOUND' });
  });
});

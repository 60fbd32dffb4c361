import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { createPluginHost, type PluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { METHODS } from '../../../plugins/nf4-lora/worker/protocol.ts';
import { BLOCK_SIZES, quantizationSchema } from '../../../plugins/nf4-lora/model-options.ts';
import { inFolder, LOAD, openModel, TINY_MODEL, trainRows } from './support.ts';

const signal = new AbortController().signal;
const rows = trainRows(5).map(({ id, messages }) => ({ id, messages }));

/** Log-probabilities of one continuation after each prompt. */
async function scores(host: PluginHost, id: string, options = {}): Promise<number[]> {
  const model = openModel(host, id, options);
  const asked = rows.map((row) => ({ ...row, continuations: ['yes'] }));
  const { scores: found } = await model.doScore({ rows: asked, signal });
  return found.flatMap(({ continuations }) => continuations.map(({ logProbNats }) => logProbNats));
}

suite('NF4 block sizes', () => {
  test('schema and protocol accept those of bitsandbytes and no other', () => {
    for (const blockSize of BLOCK_SIZES) {
      assert.deepEqual(quantizationSchema.parse({ blockSize }), { blockSize, doubleQuant: true });
      METHODS.load.params.parse({ ...LOAD, blockSize });
    }
    for (const blockSize of [0, 16, 48, 96, 8192, 64.5, '64']) {
      assert.equal(quantizationSchema.safeParse({ blockSize }).success, false);
      assert.equal(METHODS.load.params.safeParse({ ...LOAD, blockSize }).success, false);
    }
  });

  test('a model is held in the asked one, and its export as bnb-4bit computes the same', async () => {
    await inFolder(async (folder) => {
      const host = createPluginHost([{ plugin: createNf4LoraPlugin(), options: {} }]);
      try {
        const usual = await scores(host, TINY_MODEL);
        const coarse = { quantization: { blockSize: 512, doubleQuant: false } };
        const model = openModel(host, TINY_MODEL, coarse);
        assert.equal((await model.doDescribe(signal)).weightFormat, 'nf4-512');
        const held = await scores(host, TINY_MODEL, coarse);
        assert.notDeepEqual(held, usual);
        const outPath = join(folder, 'exported');
        const asked = { rows, maxTokens: 8 };
        const request = { format: 'bnb-4bit', base: 'trained', outPath, check: asked, signal } as const;
        const { drift, merged } = await model.doExport(request);
        assert.equal(merged, 0);
        assert.deepEqual(drift, { rows: 5, equalAnswers: 5, logProbDifferenceNats: 0 });
        // As it is stored, whatever else is asked for.
        assert.deepEqual(await scores(host, outPath), held);
      } finally {
        await host.close();
      }
    });
  });
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { ModelChoice } from '../../../plugins/sdk/contracts/language-model.ts';
import { createPluginHost, type PluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { METHODS } from '../../../plugins/nf4-lora/worker/protocol.ts';
import { BLOCK_SIZES, quantizationSchema } from '../../../schemas/common/quantization.ts';
import { inFolder, LOAD, TINY_MODEL, trainRows } from './support.ts';

const signal = new AbortController().signal;
const NF4 = { id: TINY_MODEL, weightFormat: 'nf4' } as const;
const rows = trainRows(5).map(({ id, messages }) => ({ id, messages }));

/** Log-probabilities of one continuation after each prompt. */
async function scores({ registry }: PluginHost, choice: ModelChoice): Promise<number[]> {
  const model = registry.providers.get('nf4-lora').open(choice);
  const asked = rows.map((row) => ({ ...row, continuations: ['yes'] }));
  const { scores: found } = await model.doScore({ rows: asked, signal });
  return found.flatMap((row) => row.map(({ logProbNats }) => logProbNats));
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
        const usual = await scores(host, NF4);
        const coarse = { ...NF4, quantization: { blockSize: 512, doubleQuant: false } } as const;
        const model = host.registry.providers.get('nf4-lora').open(coarse);
        assert.equal((await model.doDescribe(signal)).weightFormat, 'nf4-512');
        const held = await scores(host, coarse);
        assert.notDeepEqual(held, usual);
        const outPath = join(folder, 'exported');
        const asked = { rows, maxNewTokens: 8 };
        const request = { format: 'bnb-4bit', base: 'trained', outPath, check: asked, signal } as const;
        const { drift, merged } = (await model.doExport?.(request)) ?? {};
        assert.equal(merged, 0);
        assert.deepEqual(drift, { rows: 5, equalAnswers: 5, logProbDifferenceNats: 0 });
        // As it is stored, whatever else is asked for.
        assert.deepEqual(await scores(host, { ...NF4, id: outPath }), held);
      } finally {
        await host.close();
      }
    });
  });
});

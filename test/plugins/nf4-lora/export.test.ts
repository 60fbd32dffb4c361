import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { writeRows } from '../../../plugins/sdk/process/rows.ts';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { inFolder, LOAD, openModel, TINY_MODEL, trainRows, withEngine } from './support.ts';

const rows = trainRows(5).map(({ id, messages }) => ({ id, messages }));
const ADAPTER = join(TINY_MODEL, 'adapter');

suite('exports', () => {
  test('a folder in shards answers as base and adapter do', async () => {
    await inFolder(async (folder) => {
      const host = createPluginHost([{ plugin: createNf4LoraPlugin(), options: {} }]);
      try {
        const model = openModel(host);
        const outPath = join(folder, 'exported');
        const done = await model.doExport({
          adapterPath: ADAPTER,
          format: 'safetensors-f32',
          base: 'trained',
          outPath,
          maxShardBytes: 40_000,
          check: { rows, maxTokens: 8 },
          signal: new AbortController().signal,
        });
        assert.equal(done.merged, 14);
        assert.equal(done.drift?.equalAnswers, 5);
        const index = JSON.parse(await readFile(join(outPath, 'model.safetensors.index.json'), 'utf8')) as {
          weight_map: Record<string, string>;
        };
        const files = new Set(Object.values(index.weight_map));
        assert.ok(files.size > 2);
        let bytes = 0;
        for (const file of files) bytes += (await readFile(join(outPath, file))).length;
        assert.equal(done.sizeBytes, bytes);
      } finally {
        await host.close();
      }
    });
  });

  test('answers that are not finite are reported as such', async () => {
    await inFolder(async (folder) => {
      const [requestsPath, adapterPath] = [join(folder, 'rows.jsonl'), join(folder, 'adapter')];
      await writeRows(requestsPath, rows);
      await cp(ADAPTER, adapterPath, { recursive: true });
      const weights = join(adapterPath, 'adapter_model.safetensors');
      const bytes = await readFile(weights);
      const values = 8 + Number(bytes.readBigUInt64LE(0));
      // Finite themselves, but not what follows from them.
      for (let at = values; at < bytes.length; at += 4) bytes.writeFloatLE(1e18, at);
      await writeFile(weights, bytes);
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const check = { requestsPath, maxNewTokens: 4, batchRows: 2 };
        const params = { ...LOAD, adapterPath, outPath: join(folder, 'out'), check } as const;
        const { drift } = await engine.request('export', { ...params, format: 'safetensors-f32' });
        assert.equal(drift?.logProbDifferenceNats, null);
      });
    });
  });

  test('rows that name an adapter of their own are not compared', async () => {
    await inFolder(async (folder) => {
      const requestsPath = join(folder, 'rows.jsonl');
      await writeRows(requestsPath, [rows[0], { ...rows[1], adapterPath: ADAPTER }]);
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const check = { requestsPath, maxNewTokens: 4, batchRows: 2 };
        const params = { ...LOAD, outPath: join(folder, 'out'), format: 'safetensors-f32', check } as const;
        await assert.rejects(engine.request('export', params), {
          code: 'ENGINE_REQUEST_INVALID',
          message: /row "r1": adapterPath/,
        });
      });
    });
  });
});

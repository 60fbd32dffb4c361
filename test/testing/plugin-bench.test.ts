/** The bench that plugin authors test with: steps run as a worker runs them, a spec compiles as a run compiles it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import type { PluginV1, StepContext } from '../../plugin-api.ts';
import { putJsonl, readJsonl, readRows } from '../../plugin-api.ts';
import { answeringModel, compileWith, openPluginBench } from '../../testing.ts';
import { tinySpec } from '../whole/support/specs.ts';

const model = answeringModel(({ messages }) => `to ${messages.at(-1)?.content}`);

/** Brings a model, and a step that answers with whatever model it is given and reports it. */
function plugin(run: (context: StepContext) => Promise<object>): PluginV1 {
  return {
    name: 'mine',
    version: '1.0.0',
    apiVersion: 1,
    needs: [],
    optionsSchema: z.strictObject({}),
    register: (registrar) => {
      registrar.addLanguageModelProvider({
        id: 'fake',
        resource: 'cpu',
        billable: false,
        optionsSchema: z.strictObject({}),
        assumedTokensPerSecond: { prompt: 1, generate: 1, train: 1 },
        open: () => model,
      });
      registrar.addStepKind({
        specificationVersion: 'v1',
        kind: 'mine.step@1',
        title: 'Mine',
        resource: 'cpu',
        retry: 'readOnly',
        cacheable: false,
        startToCloseTimeoutMs: 1000,
        heartbeatTimeoutMs: 5000,
        withSchema: z.strictObject({ times: z.int().default(1) }),
        outputSchema: z.strictObject({ done: z.int() }),
        summarize: () => 'mine',
        doRun: async (_input, context) => (await run(context)) as { done: number },
      });
    },
    close: async () => undefined,
  };
}

test('a step gets a store, an empty scratch folder, data files, the built-in kinds beside it; all is removed', async () => {
  const bench = await openPluginBench({
    plugin: plugin(async (context) => {
      context.heartbeat({ at: 'start' });
      const ref = await putJsonl(context.store, [{ a: 1 }, { a: 2 }]);
      const { path } = await context.resolveDataPath('rows.csv');
      await assert.rejects(context.resolveDataPath('../x'), { code: 'PATH_OUTSIDE_DATA_ROOTS' });
      assert.ok(existsSync(path));
      return { done: (await readJsonl(context.store, ref)).length };
    }),
  });
  await writeFile(join(bench.dataFolder, 'rows.csv'), 'in,out\nq1,a1\nq2,a2\n');
  assert.deepEqual(await bench.run('mine.step@1', {}), { done: 2 });
  assert.deepEqual(bench.heartbeats, [{ at: 'start' }]);
  const read = await bench.run('curate.read@1', {
    source: { path: 'rows.csv' },
    columns: { input: 'in', output: 'out' },
  });
  const rows = await readRows(await bench.store.localPath(read['dataset'] as never));
  assert.deepEqual(
    rows.map(({ output }) => output),
    ['a1', 'a2'],
  );
  await bench.close();
  assert.equal(existsSync(bench.dataFolder), false);
});

test('wrong options, a wrong output, a cancellation and an unknown kind are refused', async () => {
  const bench = await openPluginBench({
    plugin: plugin(async ({ signal }) => {
      signal.throwIfAborted();
      return { undone: 1 };
    }),
  });
  await assert.rejects(bench.run('mine.step@1', { times: 'many' }), /times/);
  await assert.rejects(bench.run('mine.step@1', {}), /done/);
  await assert.rejects(bench.run('mine.stop@1', {}), {
    code: 'INVALID_SPEC',
    message: /Did you mean "mine\.step@1"/,
  });
  bench.cancel(new Error('enough'));
  await assert.rejects(bench.run('mine.step@1', {}), /enough/);
  await bench.close();
});

test('a spec compiles with the plugin, as a run compiles it', async () => {
  const listed = [{ plugin: plugin(async () => ({ done: 0 })) }];
  const spec = tinySpec({ model: { provider: 'fake', id: 'any' } });
  assert.equal((await compileWith(listed, spec)).spec.model.provider, 'fake');
  await assert.rejects(compileWith([], spec), { code: 'INVALID_SPEC', message: /"fake"/ });
});

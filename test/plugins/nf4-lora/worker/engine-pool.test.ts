import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { EngineLanguageModel } from '../../../../plugins/nf4-lora/worker/engine-language-model.ts';
import { EnginePool, type EnginePoolOptions } from '../../../../plugins/nf4-lora/worker/engine-pool.ts';
import { ENDLESS_CONFIG, exists, inFolder, TINY_MODEL, until, writeTrainRows } from '../support.ts';

const NF4 = { path: TINY_MODEL, weightFormat: 'nf4' } as const;
const F32 = { path: TINY_MODEL, weightFormat: 'f32' } as const;

async function withPool<T>(
  work: (pool: EnginePool) => Promise<T>,
  options: EnginePoolOptions = {},
): Promise<T> {
  const pool = new EnginePool(options);
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}

const pidOf = (pool: EnginePool, source: typeof NF4 | typeof F32): Promise<number> =>
  pool.use(source, undefined, (engine) => Promise.resolve(engine.process.pid));

suite('EnginePool', () => {
  test('one process a model and format, kept between uses', async () => {
    await withPool(async (pool) => {
      const nf4 = await pidOf(pool, NF4);
      const f32 = await pidOf(pool, F32);
      assert.notEqual(nf4, f32);
      assert.equal(await pidOf(pool, NF4), nf4);
      assert.ok(exists(f32));
    });
  });

  test('uses follow one another', async () => {
    await withPool(async (pool) => {
      let running = 0;
      const use = (): Promise<void> =>
        pool.use(NF4, undefined, async ({ process }) => {
          assert.equal(++running, 1);
          await process.request('hello', {});
          running -= 1;
        });
      await Promise.all([use(), use(), use()]);
    });
  });

  test('the one unused for longest makes room', async () => {
    await withPool(
      async (pool) => {
        const nf4 = await pidOf(pool, NF4);
        await pidOf(pool, F32);
        assert.equal(exists(nf4), false);
      },
      { maxProcesses: 1 },
    );
  });

  test('an idle process is closed', async () => {
    await withPool(
      async (pool) => {
        const pid = await pidOf(pool, NF4);
        await until(() => !exists(pid), 'the end of the idle process');
        assert.notEqual(await pidOf(pool, NF4), pid);
      },
      { idleMs: 20 },
    );
  });

  test('after a crash the next caller gets a fresh process', async () => {
    await withPool(async (pool) => {
      const crash = pool.use(NF4, undefined, async ({ process: engine }) => {
        process.kill(engine.pid, 'SIGSTOP');
        const pending = engine.request('hello', {});
        process.kill(engine.pid, 'SIGKILL');
        await pending;
      });
      await assert.rejects(crash, { code: 'ENGINE_CRASHED' });
      assert.ok(exists(await pidOf(pool, NF4)));
    });
  });

  test('waiting can be given up, and closing gives up all', async () => {
    await inFolder(async (folder) => {
      const rowsPath = await writeTrainRows(folder);
      await withPool(async (pool) => {
        const params = { rowsPath, outDir: join(folder, 'out'), config: ENDLESS_CONFIG };
        let pid = 0;
        const running = pool.use(NF4, undefined, ({ process: engine }) =>
          engine.request('train', params, { onEvent: () => (pid = engine.pid) }),
        );
        const waiting = pool.use(NF4, AbortSignal.timeout(50), () => Promise.resolve());
        await assert.rejects(waiting, { code: 'ENGINE_CANCELLED' });
        await until(() => pid > 0, 'a step');
        const late = pool.use(NF4, undefined, () => Promise.resolve());
        const refused = [running, late].map((use) => assert.rejects(use, { code: 'ENGINE_CANCELLED' }));
        await pool.close();
        await Promise.all(refused);
        assert.equal(exists(pid), false);
      });
    });
  });

  test('a missing model is found missing before a process starts', async () => {
    await withPool(async (pool) => {
      const use = pool.use({ path: '/nowhere.gguf', weightFormat: 'nf4' }, undefined, () =>
        Promise.resolve(),
      );
      await assert.rejects(use, { code: 'MODEL_NOT_FOUND' });
    });
  });

  test('an engine that is silent while it loads is killed, and the next use gets a new one', async () => {
    await withPool(
      (pool) => assert.rejects(pidOf(pool, NF4), { code: 'ENGINE_STALLED', message: /`load`/ }),
      {
        stallMs: 1,
      },
    );
    await withPool(async (pool) => assert.ok((await pidOf(pool, NF4)) > 0), { stallMs: 60_000 });
  });

  test('one that falls silent while it counts is killed, too', async () => {
    await withPool(async (pool) => {
      process.kill(await pidOf(pool, NF4), 'SIGSTOP');
      const model = new EngineLanguageModel(
        { id: 'tiny', options: {} },
        { pool, findModelPath: async () => TINY_MODEL, stallMs: 300, batchRows: 1, facts: new Map() },
      );
      const rows = [{ id: 'a', messages: [{ role: 'user', content: 'hello' }] }] as const;
      await assert.rejects(model.doCountTokens({ rows, signal: new AbortController().signal }), {
        code: 'ENGINE_STALLED',
        message: /`count`/,
      });
    });
  });
});

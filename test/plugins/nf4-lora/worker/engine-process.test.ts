import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { cp, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { EngineProcess } from '../../../../plugins/nf4-lora/worker/engine-process.ts';
import type { EventOf, ResultOf, toWireConfig } from '../../../../plugins/nf4-lora/worker/protocol.ts';
import { ROWS } from '../../../../plugins/nf4-lora/worker/protocol.ts';
import { readRows, writeRows } from '../../../../plugins/sdk/process/rows.ts';
import { readTrainingLog } from '../../../../plugins/nf4-lora/worker/training-log.ts';
import {
  ENDLESS_CONFIG,
  exists,
  inFolder,
  LOAD,
  TINY_MODEL,
  TRAIN_CONFIG,
  trainRows,
  until,
  withEngine,
  writeTrainRows,
} from '../support.ts';

type TrainEvent = EventOf<'train'>;

const ADAPTER = join(TINY_MODEL, 'adapter');
const GREEDY = { maxNewTokens: 12, batchRows: 4, temperature: 0, topP: 1, seed: 0, stop: [] };

interface Golden {
  readonly rows: readonly {
    messages: { role: 'user'; content: string }[];
    answer: string;
    ids: number[];
    promptTokens: number;
  }[];
}

/** A shared library of a machine that this is not: the header by which a loader knows, and nothing behind it. */
function foreignLibrary(): Buffer {
  const [arm64, x64] = [0xb7, 0x3e];
  const bytes = Buffer.alloc(4096);
  bytes.set([0x7f, ...Buffer.from('ELF'), 2, 1, 1]);
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(process.arch === 'arm64' ? x64 : arm64, 18);
  bytes.writeUInt32LE(1, 20);
  return bytes;
}

async function golden(): Promise<Golden> {
  return JSON.parse(await readFile(join(TINY_MODEL, 'golden.json'), 'utf8')) as Golden;
}

/** Trains `config` into `outDir`; `onStep` sees each event. */
function train(
  engine: EngineProcess,
  paths: { rowsPath: string; outDir: string },
  config: ReturnType<typeof toWireConfig>,
  options: { onStep?: (event: TrainEvent) => void; signal?: AbortSignal } = {},
): Promise<ResultOf<'train'>> {
  const { onStep: onEvent, signal } = options;
  return engine.request('train', { ...paths, config }, { onEvent, signal, stallMs: 60_000 });
}

suite('engine process: life and death', () => {
  test('completes the handshake with its build, class and threads', async () => {
    await withEngine(async (engine) => {
      assert.equal(engine.hello.protocol, 1);
      assert.match(engine.hello.engineBuild, /^\d+\.\d+\.\d+-[0-9a-f]{12}$/);
      assert.ok(engine.hello.isaClass.length > 0 && engine.hello.threads > 0);
      await engine.close();
      assert.equal(engine.alive, false);
      assert.equal(exists(engine.pid), false);
      await assert.rejects(engine.request('hello', {}), { code: 'ENGINE_CANCELLED' });
    });
  });

  test('a missing addon has its own code', async () => {
    await assert.rejects(EngineProcess.start({ addonPath: '/nowhere.node' }), {
      code: 'ENGINE_NOT_BUILT',
      message: /\/nowhere\.node.+escada engine build/,
    });
  });

  test('a damaged addon has it too, with the reason', async () => {
    await assert.rejects(EngineProcess.start({ addonPath: import.meta.filename }), {
      code: 'ENGINE_NOT_BUILT',
      message: /cannot be loaded on \w+-\w+: .+escada engine build/,
    });
  });

  test('an addon that was built for another machine says how to build one for this', async () => {
    await inFolder(async (folder) => {
      const addonPath = join(folder, 'other.node');
      await writeFile(addonPath, foreignLibrary());
      await assert.rejects(EngineProcess.start({ addonPath }), {
        code: 'ENGINE_NOT_BUILT',
        message: new RegExp(`on ${process.platform}-${process.arch}: .+\`escada engine build\``),
      });
    });
  });

  test('a killed process fails what runs in it, with the signal', async () => {
    await withEngine(async (engine) => {
      process.kill(engine.pid, 'SIGSTOP');
      const pending = engine.request('hello', {});
      process.kill(engine.pid, 'SIGKILL');
      await assert.rejects(pending, { code: 'ENGINE_CRASHED', message: /signal SIGKILL during `hello`/ });
      assert.equal(engine.alive, false);
    });
  });

  test('a silent process is killed', async () => {
    await withEngine(async (engine) => {
      process.kill(engine.pid, 'SIGSTOP');
      await assert.rejects(engine.request('hello', {}, { stallMs: 100 }), { code: 'ENGINE_STALLED' });
      assert.equal(exists(engine.pid), false);
    });
  });

  test('a blocked event loop does not look like a stall', async () => {
    await withEngine(async (engine) => {
      const pending = engine.request('hello', {}, { stallMs: 50 });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
      assert.equal((await pending).protocol, 1);
    });
  });

  test('a process that does not stop by itself is killed after the grace', async () => {
    const work = async (engine: EngineProcess): Promise<void> => {
      process.kill(engine.pid, 'SIGSTOP');
      const stop = new AbortController();
      const pending = engine.request('hello', {}, { signal: stop.signal });
      stop.abort(new Error('enough'));
      await assert.rejects(pending, { code: 'ENGINE_CANCELLED', fields: { method: 'hello', killed: true } });
      assert.equal(exists(engine.pid), false);
    };
    await withEngine(work, { graceMs: 100 });
  });

  test('an aborted signal is refused before anything is sent', async () => {
    await withEngine(async (engine) => {
      await assert.rejects(engine.request('hello', {}, { signal: AbortSignal.abort() }), {
        code: 'ENGINE_CANCELLED',
      });
      assert.equal(engine.alive, true);
    });
  });
});

suite('engine process: models', () => {
  test('loads a checkpoint in either format', async () => {
    await withEngine(async (engine) => {
      const nf4 = await engine.request('load', LOAD);
      const f32 = await engine.request('load', { ...LOAD, weightFormat: 'f32' });
      assert.equal(nf4.layers, 2);
      assert.equal(nf4.hiddenSize, 64);
      assert.equal(nf4.vocabularySize, 384);
      assert.equal(nf4.contextTokens, 512);
      assert.ok(nf4.weightBytes < f32.weightBytes);
      assert.equal(nf4.parameters, f32.parameters);
    });
  });

  test('a missing and a truncated model have their codes, and the process continues', async () => {
    await inFolder(async (folder) => {
      const broken = join(folder, 'model');
      await cp(TINY_MODEL, broken, { recursive: true });
      await truncate(join(broken, 'model.safetensors'), 100_000);
      await withEngine(async (engine) => {
        const load = (path: string) => engine.request('load', { ...LOAD, path });
        await assert.rejects(load(broken), { code: 'MODEL_FILE_INVALID', message: /model\.safetensors/ });
        await assert.rejects(load(join(folder, 'none.gguf')), (error: Error & { code: string }) => {
          assert.equal(error.code, 'MODEL_NOT_FOUND');
          assert.match(error.message, /none\.gguf/);
          return true;
        });
        await load(TINY_MODEL);
      });
    });
  });

  test('operations before `load` are refused', async () => {
    await withEngine(async (engine) => {
      const params = { rowsPath: '/nowhere', outPath: '/nowhere' };
      await assert.rejects(engine.request('count', params), {
        code: 'ENGINE_REQUEST_INVALID',
        message: /load/,
      });
    });
  });
});

suite('engine process: reading and writing text', () => {
  test('counts as the reference tokenizer does', async () => {
    const { rows } = await golden();
    await inFolder(async (folder) => {
      const rowsPath = join(folder, 'in');
      const outPath = join(folder, 'out');
      await writeRows(
        rowsPath,
        rows.map(({ messages, answer }, index) => ({ id: `${index}`, messages, answer })),
      );
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const { rows: counted, contextTokens } = await engine.request('count', { rowsPath, outPath });
        assert.deepEqual([counted, contextTokens], [rows.length, 512]);
      });
      const out = await readRows(outPath, ROWS.count.output);
      const want = rows.map(({ ids, promptTokens }, index) => ({
        id: `${index}`,
        promptTokens,
        answerTokens: ids.length - promptTokens,
      }));
      assert.deepEqual(out, want);
    });
  });

  test('generates in the order of the requests, whatever the batch, and differently with an adapter', async () => {
    await inFolder(async (folder) => {
      const requestsPath = join(folder, 'in');
      await writeRows(
        requestsPath,
        trainRows(9).map(({ id, messages }) => ({ id, messages })),
      );
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const run = async (name: string, change: { batchRows?: number; adapterPath?: string }) => {
          const outPath = join(folder, name);
          const events: EventOf<'generate'>[] = [];
          const params = { requestsPath, outPath, ...GREEDY, ...change };
          const result = await engine.request('generate', params, { onEvent: (event) => events.push(event) });
          const out = await readRows(outPath, ROWS.generate.output);
          assert.deepEqual(
            out.map((row) => row.id),
            trainRows(9).map((row) => row.id),
          );
          assert.equal(
            result.newTokens,
            out.reduce((sum, row) => sum + row.newTokens, 0),
          );
          assert.equal(events.at(-1)?.done, 9);
          return out.map((row) => row.text);
        };
        const four = await run('four', {});
        assert.deepEqual(await run('one', { batchRows: 1 }), four);
        assert.notDeepEqual(await run('adapted', { adapterPath: ADAPTER }), four);
        assert.deepEqual(await run('again', {}), four);
      });
    });
  });

  test('scores continuations', async () => {
    await inFolder(async (folder) => {
      const requestsPath = join(folder, 'in');
      const outPath = join(folder, 'out');
      const continuations = [' yes', ' no, not at all'];
      await writeRows(requestsPath, [
        { id: 'a', prompt: 'Is it dry?', continuations },
        { id: 'b', messages: [{ role: 'user', content: 'Is it dry?' }], continuations },
      ]);
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        await engine.request('score', { requestsPath, outPath });
      });
      const out = await readRows(outPath, ROWS.score.output);
      assert.equal(out.length, 2);
      for (const { scores } of out) {
        assert.equal(scores.length, 2);
        for (const { logProbNats, tokens } of scores) assert.ok(logProbNats < 0 && tokens > 0);
      }
    });
  });
});

suite('engine process: training', () => {
  test('reports each step in the context of its caller, and learns', async () => {
    await inFolder(async (folder) => {
      const paths = { rowsPath: await writeTrainRows(folder), outDir: join(folder, 'out') };
      const context = new AsyncLocalStorage<string>();
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const events: TrainEvent[] = [];
        const onStep = (event: TrainEvent): void => {
          assert.equal(context.getStore(), 'caller');
          events.push(event);
        };
        const result = await context.run('caller', () => train(engine, paths, TRAIN_CONFIG, { onStep }));
        assert.deepEqual(
          events.map((event) => event.step),
          Array.from({ length: 60 }, (_, index) => index + 1),
        );
        assert.equal(events[0]?.lossNats, result.lossFirstNats);
        assert.ok(result.lossLastNats < result.lossFirstNats);
        assert.equal(result.steps, 60);
        assert.equal(result.resumedFromStep, 0);
      });
    });
  });

  test('what layers keep changes the memory plan and no byte of the result', async () => {
    await inFolder(async (folder) => {
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const rowsPath = await writeTrainRows(folder, 6);
        const of = async (gradientCheckpointing: 'none' | 'full') => {
          const config = { ...TRAIN_CONFIG, maxSteps: 3, gradientCheckpointing };
          return await train(engine, { rowsPath, outDir: join(folder, gradientCheckpointing) }, config);
        };
        const [kept, repeated] = [await of('none'), await of('full')];
        assert.equal(repeated.adapterSha256, kept.adapterSha256);
        assert.deepEqual(kept.memoryPlan.layers, { keep: 2, recomputeMlp: 0, checkpoint: 0 });
        assert.deepEqual(repeated.memoryPlan.layers, { keep: 0, recomputeMlp: 0, checkpoint: 2 });
        assert.ok(repeated.memoryPlan.savedBytes < kept.memoryPlan.savedBytes);
      });
    });
  });

  test('a cancelled training stops soon and leaves its process usable', async () => {
    await inFolder(async (folder) => {
      const rowsPath = await writeTrainRows(folder);
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const stop = new AbortController();
        const onStep = ({ step }: TrainEvent): void => {
          if (step === 3) stop.abort();
        };
        const paths = { rowsPath, outDir: join(folder, 'out') };
        const pending = train(engine, paths, ENDLESS_CONFIG, { onStep, signal: stop.signal });
        await assert.rejects(pending, { code: 'ENGINE_CANCELLED', fields: { method: 'train' } });
        const counted = await engine.request('count', { rowsPath, outPath: join(folder, 'counts') });
        assert.equal(counted.rows, 40);
      });
    });
  });

  test('a training gives signs of life besides its steps', async () => {
    await inFolder(async (folder) => {
      const rowsPath = await writeTrainRows(folder);
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const stop = new AbortController();
        const signs: string[] = [];
        const onAlive = (doing: string): void => {
          signs.push(doing);
          stop.abort();
        };
        const onEvent = (event: TrainEvent): void => assert.equal(typeof event.step, 'number');
        const params = { rowsPath, outDir: join(folder, 'out'), config: ENDLESS_CONFIG };
        const pending = engine.request('train', params, { onEvent, onAlive, signal: stop.signal });
        await assert.rejects(pending, { code: 'ENGINE_CANCELLED', fields: { method: 'train' } });
        assert.match(signs[0] ?? '', /^(computing|updating|writing) /);
      });
    });
  });

  test('a listener that throws fails its operation only', async () => {
    await inFolder(async (folder) => {
      const paths = { rowsPath: await writeTrainRows(folder), outDir: join(folder, 'out') };
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const onStep = (): void => {
          throw new Error('listener');
        };
        await assert.rejects(train(engine, paths, ENDLESS_CONFIG, { onStep }), /listener/);
        assert.equal(engine.alive, true);
      });
    });
  });

  test('after kill -9 the resumed training gives the bytes of an undisturbed one', async () => {
    await inFolder(async (folder) => {
      const rowsPath = await writeTrainRows(folder);
      const [calm, killed] = [join(folder, 'calm'), join(folder, 'killed')];
      const whole = await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        return train(engine, { rowsPath, outDir: calm }, TRAIN_CONFIG);
      });
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        const onStep = ({ step, checkpointStep }: TrainEvent): void => {
          if (checkpointStep >= 10 && step % 10 === 4) process.kill(engine.pid, 'SIGKILL');
        };
        const pending = train(engine, { rowsPath, outDir: killed }, TRAIN_CONFIG, { onStep });
        await assert.rejects(pending, { code: 'ENGINE_CRASHED' });
      });
      const resumed = await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        return train(engine, { rowsPath, outDir: killed }, TRAIN_CONFIG);
      });
      assert.ok(resumed.resumedFromStep >= 10 && resumed.resumedFromStep < 60, `${resumed.resumedFromStep}`);
      assert.equal(resumed.adapterSha256, whole.adapterSha256);
      assert.equal(resumed.lossFirstNats, whole.lossFirstNats);
      assert.deepEqual(await readTrainingLog(killed), await readTrainingLog(calm));
      assert.equal((await readTrainingLog(calm)).length, 60);
    });
  });

  test('closing a busy process ends it at once', async () => {
    await inFolder(async (folder) => {
      const paths = { rowsPath: await writeTrainRows(folder), outDir: join(folder, 'out') };
      await withEngine(async (engine) => {
        await engine.request('load', LOAD);
        let steps = 0;
        const pending = train(engine, paths, ENDLESS_CONFIG, { onStep: () => (steps += 1) });
        const refused = assert.rejects(pending, { code: 'ENGINE_CANCELLED' });
        await until(() => steps > 1, 'two steps');
        await engine.close();
        await refused;
        assert.equal(exists(engine.pid), false);
      });
    });
  });
});

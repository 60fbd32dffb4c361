/** What a training reports: steps that are not finite, and settings of other trainers that run as written. */
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TrainingProgress } from '../../../plugins/sdk/contracts/trainer.ts';
import { createPluginHost, type PluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { loraConfigSchema } from '../../../schemas/spec/lora-config.ts';
import { baseModel, inFolder, TRAIN_CONFIG, trainRows, withEngine, writeTrainRows } from './support.ts';

const signal = new AbortController().signal;
const UNTIED_MODEL = fileURLToPath(new URL('../../fixtures/tiny-mistral', import.meta.url));
/** Only the answer of `pot` has this token. */
const RARE = 'Z';
/** Bits of 50 and of the largest negative number. */
const BF16 = { large: 0x4248, lowest: 0xff7f };

/**
 * A copy of the model, all of it finite, that gives the rare token no probability at all: the first feature is large and
 * positive everywhere, and weighs against that token as much as a number can. Its loss is infinite wherever it is wanted.
 */
async function spoiledModel(folder: string): Promise<string> {
  const model = join(folder, 'model');
  await cp(UNTIED_MODEL, model, { recursive: true });
  const path = join(model, 'model.safetensors');
  const bytes = await readFile(path);
  const headerBytes = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { shape: [number, number]; data_offsets: [number, number] }
  >;
  const write = (tensor: string, row: number, bits: number) => {
    const { shape, data_offsets: at } = header[tensor] ?? assert.fail(`the model has ${tensor}`);
    bytes.writeUInt16LE(bits, 8 + headerBytes + at[0] + row * shape[1] * 2);
  };
  const rows = header['model.embed_tokens.weight']?.shape[0] ?? 0;
  for (let row = 0; row < rows; row += 1) write('model.embed_tokens.weight', row, BF16.large);
  write('lm_head.weight', await tokenOf(model), BF16.lowest);
  await writeFile(path, bytes);
  return model;
}

/** Number of the rare token. */
async function tokenOf(model: string): Promise<number> {
  const text = await readFile(join(model, 'tokenizer.json'), 'utf8');
  const { vocab } = (JSON.parse(text) as { model: { vocab: Record<string, number> } }).model;
  return vocab[RARE] ?? assert.fail('the tokenizer has single letters');
}

/** Forty rows; one of them, `pot`, has the rare token. */
function spoiledRows(): ReturnType<typeof trainRows> {
  const rows = trainRows(40);
  const pot = {
    id: 'pot',
    messages: [{ role: 'user' as const, content: 'Describe a pot.' }],
    answer: `It is ${RARE}.`,
  };
  return rows.map((row, at) => (at === 17 ? pot : row));
}

async function withHost<T>(work: (host: PluginHost) => Promise<T>): Promise<T> {
  const host = createPluginHost([{ plugin: createNf4LoraPlugin() }]);
  try {
    return await work(host);
  } finally {
    await host.close();
  }
}

suite('a training whose steps are not all finite', () => {
  const config = { ...TRAIN_CONFIG, maxSteps: 40, perDeviceTrainBatchSize: 4 };

  test('stops and names step, row and tensor', async () => {
    await inFolder(async (folder) => {
      const path = await spoiledModel(folder);
      await withHost(async ({ registry }) => {
        const model = baseModel(path, 'f32');
        const outDir = join(folder, 'out');
        const training = registry.trainers
          .get('nf4-lora')
          .doTrain({ model, rows: spoiledRows(), config, outDir, signal, onProgress: () => undefined });
        await assert.rejects(training, {
          code: 'TRAINING_NON_FINITE',
          message:
            /loss of step \d+ is inf: micro-batch 1 of 1, rows .*"pot".*; first not finite: logits \(output of lm_head\)\. Look at these rows/,
        });
      });
    });
  });

  test('skips, counts and warns, and says so', async () => {
    await inFolder(async (folder) => {
      const path = await spoiledModel(folder);
      await withHost(async ({ registry }) => {
        const model = baseModel(path, 'f32');
        const progress: TrainingProgress[] = [];
        const result = await registry.trainers.get('nf4-lora').doTrain({
          model,
          rows: spoiledRows(),
          config: { ...config, nonFinite: 'skip' },
          outDir: join(folder, 'out'),
          signal,
          onProgress: (event) => progress.push(event),
        });
        // Ten steps an epoch, four epochs, one spoiled step in each.
        assert.equal(result.skippedSteps, 4);
        const skipped = result.losses.filter((row) => row.skipped === true);
        assert.deepEqual(
          skipped.map(({ step, lossNats }) => [Math.floor((step - 1) / 10), lossNats]),
          [0, 1, 2, 3].map((epoch) => [epoch, null]),
        );
        assert.deepEqual(
          result.warnings?.map(({ kind, step, rows }) => [kind, step, rows.includes('pot')]),
          skipped.map(({ step }) => ['skipped-step', step, true]),
        );
        assert.deepEqual(
          progress.flatMap(({ warnings }) => warnings ?? []),
          result.warnings,
        );
        assert.equal(progress.at(-1)?.skippedSteps, 4);
        assert.ok(result.lossLastNats < result.lossFirstNats);
      });
    });
  });

  test('killed in the middle, it ends in the same bytes, skipped steps and all', async () => {
    await inFolder(async (folder) => {
      const path = await spoiledModel(folder);
      const rowsPath = await writeTrainRows(folder, spoiledRows());
      const asked = { ...config, nonFinite: 'skip', saveSteps: 3 } as const;
      const train = async (outDir: string, killAt = 0) =>
        await withEngine(async (engine) => {
          await engine.request('load', { path, weightFormat: 'f32', blockSize: 64, doubleQuant: true });
          const kill = (step: number) => step === killAt && process.kill(engine.pid, 'SIGKILL');
          return await engine.request(
            'train',
            { rowsPath, outDir: join(folder, outDir), config: asked },
            { onEvent: ({ step }) => kill(step), stallMs: 60_000 },
          );
        });
      const calm = await train('calm');
      for (const killAt of [5, 14, 23])
        await assert.rejects(train('hit', killAt), { code: 'ENGINE_CRASHED' });
      const hit = await train('hit');
      assert.ok(hit.resumedFromStep >= 18, `${hit.resumedFromStep}`);
      assert.deepEqual([hit.adapterSha256, hit.skippedSteps], [calm.adapterSha256, 4]);
      const log = (outDir: string) => readFile(join(folder, outDir, 'checkpoint-40/log.jsonl'), 'utf8');
      assert.equal(await log('hit'), await log('calm'));
    });
  });
});

suite('a spike', () => {
  // The odd row comes in step 73, when the others are learnt.
  test('is reported with its step and rows, in progress and result', async () => {
    const odd = {
      id: 'odd',
      messages: [{ role: 'user' as const, content: 'Describe a pot.' }],
      answer: 'Zq xj 93 vw KY ~ ~ pf.',
    };
    const rows = trainRows(160).map((row, at) => (at === 60 ? odd : row));
    await inFolder(async (folder) =>
      withHost(async ({ registry }) => {
        const model = baseModel();
        const progress: TrainingProgress[] = [];
        const { losses, warnings = [] } = await registry.trainers.get('nf4-lora').doTrain({
          model,
          rows,
          config: { ...TRAIN_CONFIG, maxSteps: 80 },
          outDir: join(folder, 'out'),
          signal,
          onProgress: (event) => progress.push(event),
        });
        const spikes = warnings.filter(({ kind }) => kind === 'spike');
        assert.deepEqual(
          spikes.map(({ rows: [...ids] }) => [ids.length, ids.includes('odd')]),
          [[2, true]],
        );
        const [{ step, message }] = spikes as [(typeof spikes)[0]];
        assert.match(
          message,
          new RegExp(`^step ${step}: loss [0-9.]+ nats, [0-9.]+ expected; .*rows .*"odd"`),
        );
        assert.ok((losses[step - 1]?.lossNats ?? 0) > 2 * (losses[step - 2]?.lossNats ?? 0));
        assert.deepEqual(
          progress.flatMap((event) => event.warnings ?? []),
          warnings,
        );
      }),
    );
  });
});

suite('settings as they are written elsewhere', () => {
  /** The usual names of a published recipe for titles of products; lengths and dropout as its text has them. */
  const TITLES = {
    perDeviceTrainBatchSize: 8,
    gradientAccumulationSteps: 4,
    warmupSteps: 10,
    numTrainEpochs: 1,
    maxSteps: 60,
    learningRate: 2e-4,
    fp16: false,
    bf16: true,
    loggingSteps: 1,
    optim: 'adamw_8bit',
    weightDecay: 0.01,
    lrSchedulerType: 'linear',
    seed: 3407,
    maxSeqLengthTokens: 2048,
  } as const;
  const model = baseModel();
  const train = async (settings: object, count: number) =>
    await inFolder(async (folder) =>
      withHost(async ({ registry }) =>
        registry.trainers.get('nf4-lora').doTrain({
          model,
          rows: trainRows(count),
          config: loraConfigSchema.parse(settings),
          outDir: join(folder, 'out'),
          signal,
          onProgress: () => undefined,
        }),
      ),
    );

  test('60 steps of 8 × 4 rows with adamw_8bit and bf16', async () => {
    const result = await train(TITLES, 96);
    assert.deepEqual([result.steps, result.losses.length, result.skippedSteps], [60, 60, 0]);
    assert.ok(result.lossLastNats < result.lossFirstNats);
    // Warm-up over ten steps, then straight down to 0 behind the last.
    const rates = result.losses.map(({ learningRate }) =>
      Number((learningRate / TITLES.learningRate).toFixed(9)),
    );
    assert.deepEqual([rates[0], rates[5], rates[10], rates[35], rates[59]], [0, 0.5, 1, 0.5, 0.02]);
    // Which of the two depends on the instructions of this machine.
    const precision = 'config.bf16: computed in f32, which is at least as precise';
    assert.deepEqual(
      [result.arithmetic, result.warnings?.map(({ message }) => message)],
      result.arithmetic === 'f32' ? ['f32', [precision]] : ['16-bit', []],
    );
  });

  test('12 epochs', async () => {
    const result = await train({ numTrainEpochs: 12, perDeviceTrainBatchSize: 4, learningRate: 1e-3 }, 24);
    assert.equal(result.steps, 72);
    assert.deepEqual([result.arithmetic, result.warnings], ['f32', []]);
    assert.ok(result.lossLastNats < 0.9 * result.lossFirstNats);
  });
});

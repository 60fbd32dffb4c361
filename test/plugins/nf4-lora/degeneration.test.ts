/** Replies after every epoch, of the real engine: a training that collapses is reported, one that learns is not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { findDegeneration } from '../../../plugins/steps/train/degeneration.ts';
import type { TrainingProgress, TrainResult } from '../../../plugins/sdk/contracts/trainer.ts';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { loraConfigSchema } from '../../../schemas/spec/lora-config.ts';
import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';
import { baseModel, inFolder } from './support.ts';

const THINGS = {
  kettle: 'boils water for tea',
  lamp: 'gives light at night',
  rug: 'warms cold feet',
  chair: 'lets you sit down',
  pan: 'fries two eggs well',
  jar: 'keeps jam fresh',
  hook: 'holds a heavy coat',
  tray: 'carries the breakfast',
};
const ROWS = Object.entries(THINGS).map(([thing, answer]) => ({
  id: thing,
  messages: [{ role: 'user' as const, content: `A ${thing}` }],
  answer,
}));

const MODEL = baseModel();
/** Two steps an epoch; replies after every third one, as there are more than 25. */
const CONFIG = { numTrainEpochs: 60, perDeviceTrainBatchSize: 4, learningRate: 0.01, r: 16, loraAlpha: 32 };
const STEPS = Array.from({ length: 20 }, (_, index) => 6 * (index + 1));

interface Watched {
  readonly result: TrainResult;
  readonly seen: TrainingProgress[];
  readonly warnings: TrainingWarning[];
}

async function train(settings: object, rows = ROWS): Promise<Watched> {
  return await inFolder(async (folder) => {
    const host = createPluginHost([{ plugin: createNf4LoraPlugin() }]);
    const seen: TrainingProgress[] = [];
    try {
      const result = await host.registry.trainers.get('nf4-lora').doTrain({
        model: MODEL,
        rows,
        sampleRows: ROWS,
        config: loraConfigSchema.parse({ ...CONFIG, ...settings }),
        outDir: join(folder, 'out'),
        signal: new AbortController().signal,
        onProgress: (event) => seen.push(event),
      });
      return { result, seen, warnings: findDegeneration(result.samples ?? []) };
    } finally {
      await host.close();
    }
  });
}

/** What is said of the last replies. */
const atEnd = ({ warnings }: Watched) =>
  warnings.filter(({ step }) => step === 120).map(({ message }) => message);

suite('replies after every epoch', () => {
  test('of a training that learns: right at the end, and no warning', async () => {
    const watched = await train({});
    const samples = watched.result.samples ?? [];
    assert.deepEqual(
      [...new Set(samples.map(({ step, epoch }) => `${step} ${epoch}`))],
      STEPS.map((step) => `${step} ${step / 2}`),
    );
    const last = samples.filter(({ step }) => step === 120);
    assert.deepEqual(last.map(({ id }) => id).sort(), Object.keys(THINGS).sort());
    for (const { id, input, reply, reference, replyTokens, referenceTokens, finish } of last)
      assert.deepEqual(
        [input, reply, reference, replyTokens, finish],
        [`A ${id}`, reference, THINGS[id as keyof typeof THINGS], referenceTokens, 'stop'],
      );
    assert.deepEqual(
      watched.warnings.filter(({ step }) => step > 60),
      [],
    );
    assert.deepEqual(
      watched.seen.flatMap((event) => event.samples ?? []),
      samples,
    );
  });

  test('of a training on one answer over and over: the same for every prompt', async () => {
    const same = ROWS.map((row) => ({ ...row, answer: THINGS.lamp }));
    assert.deepEqual(atEnd(await train({}, same)), [
      'after epoch 60 8 of 8 replies are the same, "gives light at night" (at most 1 of the answers)',
    ]);
  });

  // What a training that has come apart says depends on the last bit of its sums; that it has does not.
  test('of a training with far too high a rate: never right', async () => {
    const said = atEnd(await train({ learningRate: 0.1, maxGradNorm: 100 }));
    assert.ok(
      said.some((message) => message.startsWith('after epoch 60 8 of 8 replies ')),
      said.join(),
    );
  });

  test('change nothing of what is learnt, and 0 rows give none', async () => {
    const short = { numTrainEpochs: 4 };
    const [with8, without] = [await train(short), await train({ ...short, sampleRows: 0 })];
    assert.deepEqual([with8.result.samples?.length, without.result.samples], [4 * 8, []]);
    assert.deepEqual(with8.result.losses, without.result.losses);
    const sha = ({ result }: Watched) => ('adapterSha256' in result ? result.adapterSha256 : '');
    assert.equal(sha(with8), sha(without));
    assert.match(sha(with8), /^[0-9a-f]{64}$/);
  });
});

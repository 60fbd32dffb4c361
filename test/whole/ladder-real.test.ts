/** A whole climb with the real model on a few rows of the product descriptions: short, so that every `npm test` has one. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { loadSpec } from '../../cli/lib/load-spec.ts';
import { readJsonl, type Prediction } from '../../activities/llm/jsonl.ts';
import { findRealModel, reasonToSkip, ROOT } from './support/needs.ts';
import { Place } from './support/place.ts';
import { climb, FINAL_TRAINING, type FinishedRun } from './support/runs.ts';
import { TestServer } from './support/server.ts';

const skip = await reasonToSkip({ engine: true, realModel: true });
const EXAMPLE = join(ROOT, 'examples/product-descriptions/spec.json');

suite('a whole climb with the real model', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'real', (await findRealModel()) ?? '');
    const spec = await loadSpec(EXAMPLE, place.settings.storeRoot);
    await place.startWorker();
    run = await climb(place, {
      ...spec,
      data: { ...spec.data, sizes: { train: 32, dev: 8, test: 8 } },
      // Out of reach, so that no rung is passed over.
      target: 1,
      budget: { seconds: 36_000 },
      rungs: {
        icl: { recipes: [{ shots: 1, choose: 'similar' }] },
        peft: {
          learningRates: [1e-3],
          config: { r: 8, loraAlpha: 16, perDeviceTrainBatchSize: 4, warmupSteps: 2 },
        },
      },
    });
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  test('measures every rung on real answers', async () => {
    const { outcome } = run;
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl', 'peft'],
    );
    for (const { value, low, high } of outcome.rungs)
      assert.ok(0 < low && low < value && value < high && high < 1);
    for (const { score } of outcome.test.candidates) {
      const answers = await readJsonl<Prediction>(place.store, score.predictions);
      assert.equal(answers.length, 8);
      const words = answers.filter(({ prediction }) => /[a-z]{3,} [a-z]{2,}/i.test(prediction));
      assert.ok(
        words.length >= 6,
        `few of the answers are prose: ${JSON.stringify(answers.map((one) => one.prediction))}`,
      );
      assert.ok(score.newTokens > 0 && score.newTokens <= 8 * 40);
    }
  });

  test('curation finds the dirt of the example, and no product is on two sides', () => {
    const output = (id: string) =>
      run.activities.find((one) => one.id === id)?.result?.['output'] as Record<string, number>;
    for (const id of ['curate/null-filter', 'curate/exact-dedupe', 'curate/token-filter']) {
      assert.ok((output(id)['dropped'] ?? 0) > 0, `${id} dropped nothing`);
    }
    assert.deepEqual(run.activities.find(({ id }) => id === 'curate/split')?.result?.['output'], {
      ...output('curate/split'),
      rows: { train: 32, dev: 8, test: 8 },
    });
  });

  test('training learns, and leaves an adapter that the PEFT library reads', async () => {
    const result = run.activities.find(({ id }) => id === FINAL_TRAINING)?.result?.['output'] as {
      adapter: Parameters<typeof place.store.localFolder>[0];
      lossFirstNats: number;
      lossLastNats: number;
      steps: number;
    };
    assert.equal(result.steps, 8);
    assert.ok(result.lossLastNats < result.lossFirstNats, `${result.lossFirstNats} → ${result.lossLastNats}`);
    const folder = await place.store.localFolder(result.adapter);
    const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    assert.equal(config['peft_type'], 'LORA');
    assert.equal(config['r'], 8);
    assert.ok((await readFile(join(folder, 'adapter_model.safetensors'))).length > 100_000);
  });
});

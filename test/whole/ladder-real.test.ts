/** A whole adaptation run with the real model on a few rows of the product descriptions: short, so that every `npm test` has one. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { loadSpec } from '../../cli/lib/load-spec.ts';
import type { ExportFormat } from '../../schemas/spec/export-format.ts';
import type { ExportOutcome } from '../../schemas/outcome/export-run.ts';
import { readJsonl, type Prediction } from '../../plugins/sdk/jsonl.ts';
import { findRealModel, reasonToSkip, ROOT } from './support/needs.ts';
import { Place } from './support/place.ts';
import { runAdaptation, FINAL_TRAINING, measuredRungs, type FinishedRun } from './support/runs.ts';
import { TestServer } from './support/server.ts';

const skip = await reasonToSkip({ engine: true, realModel: true });
const EXAMPLE = join(ROOT, 'examples/product-descriptions/spec.json');

suite('a whole adaptation run with the real model', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'real', (await findRealModel()) ?? '');
    const spec = await loadSpec(EXAMPLE, place.store);
    await place.startWorker();
    run = await runAdaptation(place, {
      ...spec,
      data: { ...spec.data, sizes: { train: 32, dev: 8, test: 8 } },
      // Out of reach, so that no rung is skipped.
      target: 1,
      budget: { seconds: 36_000 },
      rungs: {
        icl: { recipes: [{ shots: 1, selection: 'nearest' }] },
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
    for (const { value, low, high } of measuredRungs(outcome))
      assert.ok(0 < low && low < value && value < high && high < 1);
    for (const { score } of outcome.test.candidates) {
      const answers = await readJsonl<Prediction>(place.store, score.predictions);
      assert.equal(answers.length, 8);
      const words = answers.filter(({ prediction }) => /[a-z]{3,} [a-z]{2,}/i.test(prediction));
      assert.ok(
        words.length >= 6,
        `few of the answers are prose: ${JSON.stringify(answers.map((one) => one.prediction))}`,
      );
      assert.ok(score.usage.completionTokens > 0 && score.usage.completionTokens <= 8 * 40);
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

  test('an export is a model that answers as base and adapter do, or it is refused', async (t) => {
    const { adapter } = run.activities.find(({ id }) => id === FINAL_TRAINING)?.result?.['output'] as {
      adapter: { uri: string; sha256: string; sizeBytes: number };
    };
    const tuned = run.outcome.test.candidates.find(({ rung }) => rung === 'peft');
    assert.ok(tuned);
    const client = await place.client();
    const exported = async (format: ExportFormat, maxDriftNats?: number) => {
      const recipe = {
        system: '',
        instruction: 'Describe the product.',
        demonstrations: null,
        retrieval: null,
      };
      const check = { predictions: tuned.score.predictions, recipe, maxNewTokens: 24, rowsLimit: 8 };
      const limited = maxDriftNats === undefined ? check : { ...check, maxDriftNats };
      const model = { provider: 'nf4-lora', id: 'smollm2-135m-instruct' };
      const step = { model, adapter, format, check: format === 'gguf-lora' ? null : limited };
      const spec = {
        name: `export ${format}`,
        nodes: [{ id: 'export', form: 'step' as const, uses: 'model.export@1', with: step }],
      };
      return (await (await client.startPipeline<ExportOutcome>(spec)).result()).export;
    };
    for (const [format, equal, layers] of [
      ['gguf-f16', 6, 210],
      ['gguf-q8_0', 0, 210],
      ['gguf-q4_0', 0, 210],
      ['safetensors-f32', 8, 210],
      ['gguf-lora', 0, 210],
    ] as const) {
      // Four bits cost so small a model a lot: asked for by its number.
      const done = await exported(format, format === 'gguf-q4_0' ? 5 : undefined);
      t.diagnostic(`${format}: ${JSON.stringify(done.drift)}, ${(done.sizeBytes / 1e6).toFixed(0)} MB`);
      assert.equal(done.merged, layers);
      assert.ok((done.drift?.equalAnswers ?? 0) >= equal, JSON.stringify(done.drift));
      if (done.form === 'folder') continue;
      const bytes = await readFile(await place.store.localPath(done.export));
      assert.equal(bytes.subarray(0, 4).toString(), 'GGUF');
      assert.equal(bytes.length, done.sizeBytes);
    }
    await assert.rejects(exported('gguf-q4_0', 1e-4), (error: Error) => {
      assert.match(
        JSON.stringify(error, Object.getOwnPropertyNames(error)),
        /EXPORT_DRIFT|is [\d.]+ nats per token away/,
      );
      return true;
    });
  });

  test('escada export says when what won has no adapter', async () => {
    const { workflowId, decision } = run.outcome;
    assert.equal(decision.rung, 'icl');
    const { code, stderr } = await place.escada(['export', workflowId]);
    assert.notEqual(code, 0);
    assert.match(stderr, /EXPORT_NO_ADAPTER: icl won run .* without an adapter/);
  });
});

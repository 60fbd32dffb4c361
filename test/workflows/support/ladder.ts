/** A whole ladder without a model: which rows a rung answers right is scripted, the scores are the product's own. */
import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';
import { putJsonl, type Prediction } from '../../../plugins/sdk/jsonl.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { answer, type Behaviour } from './behaviours.ts';
import type { Stage } from './stage.ts';

const ROWS = 16;

const UNUSED = { promptTokens: 0, completionTokens: 0, trainingTokens: 0, seconds: 0, peakMemoryBytes: null };

/** Rungs zero-shot, icl and peft over `rows.csv`, judged by exact match; peft has one learning rate, icl one recipe. */
export function ladderSpec(changes: Partial<AdaptationSpecInput> = {}): AdaptationSpecInput {
  return {
    name: 'staged',
    task: { instruction: 'Say it.', system: '' },
    data: {
      source: { path: 'rows.csv' },
      columns: { input: 'input', output: 'output' },
      sizes: { train: 32, dev: ROWS, test: ROWS },
    },
    metrics: { primary: { id: 'exact-match' } },
    target: 0.9,
    budget: { seconds: 36_000 },
    rungs: {
      icl: { recipes: [{ shots: 1, selection: 'random' }] },
      peft: { learningRates: [1e-3] },
    },
    statistics: { resamples: 200 },
    ...changes,
  };
}

/** Answers the rows of a split, so many of them (0 to 1) as their reference has it. Also says how many tokens it took, and what it cost. */
export function answering(stage: Stage, share: number, tokens = 10, costUsd?: number): Behaviour {
  return async () => {
    const rows = Array.from({ length: ROWS }, (_, at): Prediction => ({
      id: `row-${at}`,
      input: `question ${at}`,
      reference: 'right',
      prediction: at < Math.round(share * ROWS) ? 'right' : 'wrong',
      promptTokens: tokens,
      completionTokens: 1,
      finish: 'stop',
    }));
    const predictions = await putJsonl(stage.store, rows);
    const used = { ...UNUSED, promptTokens: ROWS * tokens, completionTokens: ROWS, seconds: 1 };
    const usage = costUsd === undefined ? used : { ...used, costUsd };
    return { output: { predictions, usage } as unknown as JsonObject };
  };
}

/** Every recipe fits the context of a model that is not there. */
const allFit: Behaviour = async ({ input }) => {
  const recipes = input['recipes'] as readonly JsonObject[];
  return { output: { recipes, fitting: recipes.length, skipped: [] } };
};

/**
 * The steps of a ladder in which every rung answers half of the rows. What is scripted beside it wins: activity ids come
 * before kinds, for instance `'icl/recipes/0/answers': answering(stage, 1)` or `'peft/train': failing('TRAINER_FAILED')`.
 */
export async function ladderSteps(stage: Stage): Promise<Readonly<Record<string, Behaviour>>> {
  const text = (name: string) => stage.store.putBytes(Buffer.from(name), 'text/plain');
  const [dataset, adapter] = [await text('rows'), await text('adapter')];
  const training = await stage.store.putJson({ rows: 32, config: { r: 4 }, losses: [] });
  const split = { train: dataset, dev: dataset, test: dataset, rows: { train: 32, dev: ROWS, test: ROWS } };
  const curated = { dataset, rows: 64, dropped: 0, sourceSha256: 'f'.repeat(64) };
  const output = (value: object) => answer(value as JsonObject);
  return {
    'curate.split@1': output(split),
    'train.adapter@1': output({ adapter, training, usage: { ...UNUSED, trainingTokens: 100 } }),
    'generate.answers@1': answering(stage, 0.5),
    'score.predictions@1': stage.real('score.predictions@1'),
    'rung.result@1': stage.real('rung.result@1'),
    'select.fitting@1': allFit,
    '*': output(curated),
  };
}

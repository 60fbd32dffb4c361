import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';

/** Rows of `sampleRows` that `tinySpec` uses up, and a few more. */
export const TINY_ROWS = 56;

/** A whole ladder on the tiny checkpoint over `rows.csv` of a place: shrunk sizes, few steps, no target within reach. */
export function tinySpec(changes: Partial<AdaptationSpecInput> = {}): AdaptationSpecInput {
  return {
    name: 'tiny',
    task: { instruction: 'Say it.', system: '', maxPromptTokens: 120, maxAnswerTokens: 32 },
    data: {
      source: { path: 'rows.csv' },
      columns: { input: 'input', output: 'output' },
      sizes: { train: 32, dev: 8, test: 8 },
    },
    target: 0.99,
    budget: { seconds: 36_000 },
    rungs: {
      icl: {
        recipes: [
          { shots: 1, selection: 'random' },
          { shots: 1, selection: 'nearest' },
        ],
      },
      peft: {
        learningRates: [1e-2, 2e-2],
        config: { r: 4, loraAlpha: 8, maxSteps: 6, saveSteps: 2, warmupSteps: 1 },
      },
    },
    statistics: { resamples: 200 },
    seed: 7,
    ...changes,
  };
}

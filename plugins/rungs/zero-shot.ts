import { z } from 'zod';
import type { RungV1 } from '../sdk/contracts/rung.ts';
import { outputRef } from '../sdk/plan-values.ts';
import { answerAndScore, answerWork, recipeOf, resultNode } from '../sdk/rung-plan.ts';

/** Instructions only: the baseline that every other rung must beat. */
export const zeroShotRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'zero-shot',
  title: 'Zero-shot prompting',
  place: { order: 0, baseline: true },
  optionsSchema: z.strictObject({}),
  eligibility: () => ({
    eligible: true,
    reason: 'The baseline costs nothing and every later gain is measured against it.',
  }),
  estimate: ({ spec }) =>
    answerWork({
      rows: spec.data.sizes.dev,
      promptTokens: spec.task.maxPromptTokens,
      completionTokens: spec.task.maxAnswerTokens,
    }),
  toPlan: ({ spec }) => ({
    name: 'zero-shot',
    nodes: [
      ...answerAndScore({ spec, recipe: recipeOf(spec), adapter: null }),
      resultNode({
        spec,
        rung: 'zero-shot',
        tried: 1,
        recipes: [recipeOf(spec)],
        scores: [{ score: outputRef('score') }],
      }),
    ],
  }),
};

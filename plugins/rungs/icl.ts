import { z } from 'zod';
import type { RungV1 } from '../api/rung.ts';
import { answerAndScore, answerSeconds, recipeOf, resultNode } from './contract.ts';

const optionsSchema = z.strictObject({
  /** At most three recipes, tried on dev: how many demonstrations, and how they are chosen. */
  recipes: z
    .array(z.strictObject({ shots: z.int().min(1).max(16), choose: z.enum(['fixed', 'similar']) }))
    .min(1)
    .max(3)
    .default([
      { shots: 3, choose: 'fixed' },
      { shots: 1, choose: 'similar' },
      { shots: 3, choose: 'similar' },
    ]),
});

type Options = z.infer<typeof optionsSchema>;

/** In-context learning: demonstrations from the training rows in the prompt. */
export const iclRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'icl',
  title: 'In-context learning',
  costRank: 2,
  optionsSchema,
  eligibility: (_profile, { spec }) => ({
    eligible: true,
    reason: `${spec.data.sizes.train} labelled rows can serve as demonstrations.`,
  }),
  estimateSeconds: ({ spec, options, tokensPerSecond }) => {
    const { maxPromptTokens, maxAnswerTokens } = spec.task;
    return (options as Options).recipes
      .map(({ shots }) => ({
        rows: spec.data.sizes.dev,
        promptTokens: maxPromptTokens + shots * (maxPromptTokens + maxAnswerTokens),
        newTokens: maxAnswerTokens,
      }))
      .reduce((sum, work) => sum + answerSeconds(work, tokensPerSecond), 0);
  },
  toPlan: ({ spec, options }) => {
    const recipes = (options as Options).recipes.map(({ shots, choose }) => recipeOf(spec, shots, choose));
    return {
      name: 'icl',
      nodes: [
        {
          id: 'recipes',
          form: 'map',
          over: recipes as never,
          concurrency: 1,
          body: answerAndScore({ spec, recipe: '${item}', adapter: null }),
        },
        resultNode({ rung: 'icl', tried: recipes.length, recipes, scores: '${nodes.recipes.output}' }),
      ],
    };
  },
};

import { z } from 'zod';
import type { RungV1 } from '../sdk/contracts/rung.ts';
import { addWork, answerAndScore, answerWork, fitNode, fittedResult, recipeOf } from './nodes.ts';

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
  estimate: ({ spec, options }) => {
    const { maxPromptTokens, maxAnswerTokens } = spec.task;
    const works = (options as Options).recipes.map(({ shots }) =>
      answerWork({
        rows: spec.data.sizes.dev,
        promptTokens: maxPromptTokens + shots * (maxPromptTokens + maxAnswerTokens),
        completionTokens: maxAnswerTokens,
      }),
    );
    return addWork(works);
  },
  toPlan: ({ spec, options }) => {
    const recipes = (options as Options).recipes.map(({ shots, choose }) => recipeOf(spec, shots, choose));
    return {
      name: 'icl',
      nodes: [
        fitNode(spec, recipes),
        {
          id: 'recipes',
          form: 'map',
          over: '${nodes.fit.output.recipes}',
          concurrency: 1,
          body: answerAndScore({ spec, recipe: '${item}', adapter: null }),
        },
        fittedResult('icl'),
      ],
    };
  },
};

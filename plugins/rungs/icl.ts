import { z } from 'zod';
import { nameTextSchema } from '../../schemas/common/texts.ts';
import type { Demonstrations } from '../../schemas/outcome/recipe.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import { literal } from '../../schemas/plan/references.ts';
import type { RungV1 } from '../sdk/contracts/rung.ts';
import { outputRef, planMap, ref, type Planned } from '../sdk/plan-values.ts';
import { addWork, answerAndScore, answerWork, fitNode, fittedResult, recipeOf } from '../sdk/rung-plan.ts';

const optionsSchema = z.strictObject({
  /** At most three recipes, tried on dev: how many demonstrations, and how they are chosen. */
  recipes: z
    .array(z.strictObject({ shots: z.int().min(1).max(16), selection: z.enum(['random', 'nearest']) }))
    .min(1)
    .max(3)
    .default([
      { shots: 3, selection: 'random' },
      { shots: 1, selection: 'nearest' },
      { shots: 3, selection: 'nearest' },
    ]),
  /** Finds the nearest rows. */
  retriever: nameTextSchema,
});

type Options = z.infer<typeof optionsSchema>;

/** Demonstrations from the training rows. */
function demonstrationsOf(
  { shots, selection }: Options['recipes'][number],
  { retriever }: Options,
  { seed }: AdaptationSpec,
): Planned<Demonstrations> {
  const rows = ref('inputs.train');
  if (selection === 'random') return { rows, shots, selection, seed };
  return { rows, shots, selection, retriever: literal(retriever) };
}

/** In-context learning: demonstrations from the training rows in the prompt. */
export const iclRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'icl',
  title: 'Few-shot prompting (ICL)',
  place: { order: 100 },
  optionsSchema,
  names: { retriever: 'retrievers' },
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
  toPlan: (context) => {
    const { spec } = context;
    const options = context.options as Options;
    const recipes = options.recipes.map((one) =>
      recipeOf(spec, { demonstrations: demonstrationsOf(one, options, spec) }),
    );
    return {
      name: 'icl',
      nodes: [
        fitNode(spec, recipes),
        planMap(
          'recipes',
          outputRef('fit', 'recipes'),
          answerAndScore({ spec, recipe: ref('item'), adapter: null }),
        ),
        fittedResult(spec, 'icl'),
      ],
    };
  },
};

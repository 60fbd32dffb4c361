import { z } from 'zod';
import {
  answerAndScore,
  answerWork,
  literal,
  outputRef,
  recipeOf,
  ref,
  resultNode,
  type AdaptationSpec,
  type PlannedRecipe,
  type RungV1,
} from 'escada/plugin-api';

const optionsSchema = z.strictObject({
  /** Sentences that follow the task's instruction. */
  hints: z.array(z.string().min(1).max(500)).min(1).max(10).default(['Answer like the examples.']),
  shots: z.int().min(1).max(16).default(4),
});

type Options = z.infer<typeof optionsSchema>;

/** The task's recipe with more instruction, and the rows nearest to the input as demonstrations. */
function recipeWith(spec: AdaptationSpec, { hints, shots }: Options): PlannedRecipe {
  const instruction = literal([spec.task.instruction, ...hints].join(' '));
  const rows = ref('inputs.train');
  const demonstrations = { rows, shots, selection: 'nearest', retriever: 'lexical' } as const;
  return { ...recipeOf(spec, { demonstrations }), instruction };
}

/** A rung that changes the prompt only. Its place puts it between in-context learning and retrieval. */
export const hintsRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'hints',
  title: 'Hints in the instruction',
  place: { order: 150 },
  optionsSchema,
  eligibility: (_profile, { options }) => ({
    eligible: true,
    reason: `${(options as Options).hints.length} hints are given.`,
  }),
  estimate: ({ spec, options }) => {
    const { maxPromptTokens, maxAnswerTokens } = spec.task;
    const { shots } = options as Options;
    return answerWork({
      rows: spec.data.sizes.dev,
      promptTokens: maxPromptTokens + shots * (maxPromptTokens + maxAnswerTokens),
      completionTokens: maxAnswerTokens,
    });
  },
  toPlan: ({ spec, options }) => {
    const recipe = recipeWith(spec, options as Options);
    return {
      name: 'hints',
      nodes: [
        ...answerAndScore({ spec, recipe, adapter: null }),
        resultNode({
          spec,
          rung: 'hints',
          tried: 1,
          recipes: [recipe],
          scores: [{ score: outputRef('score') }],
        }),
      ],
    };
  },
};

import { z } from 'zod';
import { literal, type AdaptationSpec, type RungV1, type StepNode } from 'escada/plugin-api';

const optionsSchema = z.strictObject({
  /** Sentences that follow the task's instruction. */
  hints: z.array(z.string().min(1).max(500)).min(1).max(10).default(['Answer like the examples.']),
  shots: z.int().min(1).max(16).default(4),
});

type Options = z.infer<typeof optionsSchema>;

function recipeOf(spec: AdaptationSpec, { hints, shots }: Options) {
  const instruction = [spec.task.instruction, ...hints].join(' ');
  return { system: literal(spec.task.system), instruction: literal(instruction), shots, choose: 'similar' };
}

const step = (id: string, uses: string, options: object) => ({
  id,
  form: 'step' as const,
  uses,
  with: options as StepNode['with'],
});

/** A rung that changes the prompt only: the task's instruction with hints, and the most similar rows as demonstrations. */
export const hintsRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'hints',
  title: 'Hints in the instruction',
  costRank: 2.5,
  optionsSchema,
  eligibility: (_profile, { options }) => ({
    eligible: true,
    reason: `${(options as Options).hints.length} hints are given.`,
  }),
  estimate: ({ spec, options }) => {
    const { maxPromptTokens, maxAnswerTokens } = spec.task;
    const { shots } = options as Options;
    const rows = spec.data.sizes.dev;
    const prompt = rows * (maxPromptTokens + shots * (maxPromptTokens + maxAnswerTokens));
    return { prompt, generate: rows * maxAnswerTokens, train: 0 };
  },
  toPlan: ({ spec, options }) => {
    const recipe = recipeOf(spec, options as Options);
    return {
      name: 'hints',
      nodes: [
        step('answers', 'generate.answers@1', {
          model: literal(spec.model),
          recipe,
          adapter: null,
          rows: '${inputs.dev}',
          train: '${inputs.train}',
          maxNewTokens: spec.task.maxAnswerTokens,
          seed: spec.seed,
        }),
        step('score', 'score.predictions@1', {
          predictions: '${nodes.answers.output.predictions}',
          usage: '${nodes.answers.output.usage}',
          metrics: literal(spec.metrics),
          statistics: { level: spec.statistics.level, resamples: spec.statistics.resamples, seed: spec.seed },
        }),
        step('result', 'rung.result@1', {
          rung: 'hints',
          tried: 1,
          recipes: [recipe],
          scores: [{ score: '${nodes.score.output}' }],
          adapter: null,
          training: null,
        }),
      ],
    };
  },
};

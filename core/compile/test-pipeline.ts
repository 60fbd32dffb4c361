import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import { literal } from '../../schemas/plan/references.ts';
import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';

/** Scores one finalist on the test rows. Reads `${inputs.candidate}` (recipe, adapter), `${inputs.test}`, `${inputs.train}`. */
export function testPipeline(spec: AdaptationSpec): PipelineSpecInput {
  return {
    name: 'test',
    nodes: [
      {
        id: 'answers',
        form: 'step',
        uses: 'generate.answers@1',
        with: {
          model: literal(spec.model),
          recipe: '${inputs.candidate.recipe}',
          adapter: '${inputs.candidate.adapter}',
          rows: '${inputs.test}',
          train: '${inputs.train}',
          maxNewTokens: spec.task.maxAnswerTokens,
          seed: spec.seed,
        },
      },
      {
        id: 'score',
        form: 'step',
        uses: 'score.predictions@1',
        with: {
          predictions: '${nodes.answers.output.predictions}',
          usage: '${nodes.answers.output.usage}',
          metrics: literal({ primary: spec.metrics.primary, secondary: spec.metrics.secondary }),
          statistics: { level: spec.statistics.level, resamples: spec.statistics.resamples, seed: spec.seed },
        },
      },
    ],
  };
}

import { ref } from '../../plugins/sdk/plan-values.ts';
import { answerAndScore } from '../../plugins/sdk/rung-plan.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';

/**
 * Scores one finalist on the test rows, with the model that it was measured with on dev. Reads `${inputs.candidate}`
 * (model, recipe, adapter) and `${inputs.test}`.
 */
export function testPipeline(spec: AdaptationSpec): PipelineSpecInput {
  const [model, recipe, adapter] = [
    ref('inputs.candidate.model'),
    ref('inputs.candidate.recipe'),
    ref('inputs.candidate.adapter'),
  ];
  return { name: 'test', nodes: answerAndScore({ spec, model, recipe, adapter, rows: ref('inputs.test') }) };
}

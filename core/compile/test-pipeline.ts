import { ref } from '../../plugins/sdk/plan-values.ts';
import { answerAndScore } from '../../plugins/sdk/rung-plan.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';

/** Scores one finalist on the test rows. Reads `${inputs.candidate}` (recipe, adapter) and `${inputs.test}`. */
export function testPipeline(spec: AdaptationSpec): PipelineSpecInput {
  const recipe = ref('inputs.candidate.recipe');
  const adapter = ref('inputs.candidate.adapter');
  return { name: 'test', nodes: answerAndScore({ spec, recipe, adapter, rows: ref('inputs.test') }) };
}

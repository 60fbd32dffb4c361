import type { JsonObject } from '../../schemas/common/json.ts';
import type { PipelinePlan } from '../../schemas/plan/pipeline-plan.ts';
import { runPlan } from '../pipeline/interpreter.ts';
import type { NodeOutputs } from '../shared/plan-border.ts';
import type { LadderState } from './state.ts';

/** Runs one of the plans that an adaptation consists of; one at a time, so that one set of results is kept. */
export async function runSubPlan(
  plan: PipelinePlan,
  inputs: JsonObject,
  prefix: string,
  state: LadderState,
): Promise<NodeOutputs> {
  const { approvals, continuation, position } = state;
  const resumable = { results: position.results, continuation };
  return await runPlan({ plan, inputs, prefix, observer: state, approvals, resumable });
}

import type { RungOutput } from '../../schemas/outcome/candidate.ts';
import type { DecisionRecord } from '../../schemas/outcome/decision.ts';
import type { JudgeRungResult } from '../../schemas/plan/control-activities.ts';
import type { AdaptationPlan, PlannedRung } from '../../schemas/plan/adaptation-plan.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { PipelinePlan } from '../../schemas/plan/pipeline-plan.ts';
import { runPlan } from '../pipeline/interpreter.ts';
import { fail } from '../shared/fail.ts';
import { outputOf, type NodeOutputs } from '../shared/plan-border.ts';
import { budgetLeft, withinBudget, type Afforded } from './budget.ts';
import { criteriaOf } from './criteria.ts';
import { control } from '../shared/control-activities.ts';
import type { LadderState } from './state.ts';
import { settled } from '../shared/step-failure.ts';

/**
 * Runs one rung inside what is left of the budget and records how that ended: measured, failed, or cut off by the
 * budget. A rung that fails takes nothing from what the others measured.
 */
export async function tryRung(
  id: string,
  plan: AdaptationPlan,
  inputs: JsonObject,
  state: LadderState,
): Promise<DecisionRecord['outcome']> {
  const rung = plan.rungs.find((one) => one.id === id);
  if (rung?.plan == null) throw fail('INVALID_SPEC', `There is no rung "${id}" in the plan.`);
  state.enter('ladder', id);
  const startedMs = state.position.rungStartedMs ?? Date.now();
  const seconds = () => (Date.now() - startedMs) / 1000;
  const ended = await settled(measure(rung, plan, inputs, state, seconds));
  state.endPlan();
  state.facts[`rungs.${id}.tried`] = true;
  if ('failure' in ended) {
    const { code, message, help } = ended.failure;
    state.record({
      outcome: 'failed',
      rung: id,
      code,
      message,
      ...(help === undefined ? {} : { help }),
      seconds: seconds(),
      reason: `${code}: ${message}${help === undefined ? '' : ` What to do: ${help}`}`,
    });
    return 'failed';
  }
  if ('cutOff' in ended.value) {
    const by = ended.value.cutOff;
    const reason = `The budget of ${by} ran out while it was running.`;
    state.record({ outcome: 'cut-off', rung: id, by, seconds: seconds(), reason });
    return 'cut-off';
  }
  state.measured(ended.value.value, rung.order);
  return 'measured';
}

async function measure(
  rung: PlannedRung,
  plan: AdaptationPlan,
  inputs: JsonObject,
  state: LadderState,
  seconds: () => number,
): Promise<Afforded<JudgeRungResult>> {
  const ended = await withinBudget(budgetLeft(plan, state), state, () => runRung(rung, inputs, state));
  if ('cutOff' in ended) return ended;
  const value = await control.judgeRung({
    rung: rung.id,
    output: ended.value,
    best: state.best,
    triedBefore: state.tried,
    ...criteriaOf(plan.spec),
    seconds: seconds(),
  });
  return { value };
}

async function runRung(rung: PlannedRung, inputs: JsonObject, state: LadderState): Promise<RungOutput> {
  if (rung.plan === null) throw fail('INVALID_SPEC', `The rung "${rung.id}" has no plan.`);
  const outputs = await runSubPlan(rung.plan, inputs, rung.id, state);
  return outputOf<RungOutput>(outputs, 'result');
}

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

import type { Score } from '../../schemas/outcome/candidate.ts';
import type { TestResult } from '../../schemas/outcome/decision.ts';
import type { DecideResult } from '../../schemas/plan/control-activities.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { Verdict } from '../../schemas/spec/flowchart.ts';
import { fail } from '../shared/fail.ts';
import { outputOf, toJson } from '../shared/plan-border.ts';
import { control } from '../shared/control-activities.ts';
import { criteriaOf } from './criteria.ts';
import { runSubPlan } from './try-rung.ts';
import type { LadderState } from './state.ts';
import { settled } from '../shared/step-failure.ts';

/**
 * Each finalist answers the test rows once; nothing is chosen on test but the winner. One whose scoring fails is named
 * in the result and left out of the decision. Throws the first failure when that happened to all.
 */
export async function scoreFinalists(
  plan: AdaptationPlan,
  split: JsonObject,
  reached: Verdict,
  state: LadderState,
): Promise<DecideResult> {
  const { scored: finalists, notScored: failed } = state.position;
  for (const { candidate, order } of state.finalists.slice(finalists.length + failed.length)) {
    const { id, rung } = candidate;
    state.enter('test', rung);
    const inputs = toJson({ test: split['test'], candidate });
    const scored = await settled(runSubPlan(plan.test, inputs, `test/${rung}`, state));
    state.endPlan();
    if ('failure' in scored) failed.push({ id, rung, ...scored.failure });
    else finalists.push({ candidate, order, score: outputOf<Score>(scored.value, 'score') });
  }
  if (finalists.length === 0) throw noneScored(failed);
  const { spec } = plan;
  return await control.decide({
    finalists,
    failed,
    reached,
    ...criteriaOf(spec),
    nonInferiorityMargin: spec.statistics.nonInferiorityMargin,
  });
}

function noneScored(failed: TestResult['failed']) {
  const each = failed.map(({ rung, code, message }) => `${rung} failed with ${code}: ${message}`);
  const [first] = failed;
  return fail(
    first?.code ?? 'INTERNAL',
    `No finalist was scored on the test rows: ${each.join('; ')}`,
    first?.help,
  );
}

import type { Decision, TestResult } from '../../schemas/outcome/decision.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import { toJson } from '../shared/plan-border.ts';
import type { LadderState } from './state.ts';

/** Asks, where the plan has a gate, whether the winner may be released. A rejection changes the verdict, not the results. */
export async function release(
  decision: Decision,
  test: TestResult,
  plan: AdaptationPlan,
  state: LadderState,
): Promise<Decision> {
  if (plan.releaseGate === undefined) return decision;
  state.enter('approve');
  const { verdict, by, comment } = await state.approvals.ask({
    id: 'release',
    title: `Release ${decision.candidateId} (${decision.verdict})`,
    subject: toJson({ specDigest: plan.specDigest, decision, test }),
    timeoutSeconds: plan.releaseGate.timeoutSeconds,
  });
  if (verdict === 'approve') return decision;
  const who =
    verdict === 'timed-out'
      ? 'Nobody approved the release in time.'
      : `Release rejected${by === '' ? '' : ` by ${by}`}.`;
  return {
    ...decision,
    verdict: 'release-rejected',
    reason: [decision.reason, who, comment].filter((text) => text !== '').join(' '),
  };
}

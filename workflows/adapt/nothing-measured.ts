import type { ApplicationFailure } from '@temporalio/workflow';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import { fail } from '../shared/fail.ts';
import type { Verdict } from '../../schemas/spec/flowchart.ts';
import type { LadderState } from './state.ts';

/** The failure of a ladder without a finalist: code and message of what happened, whatever the path ended with. */
export function nothingMeasured(
  { spec }: AdaptationPlan,
  reached: Verdict,
  state: LadderState,
): ApplicationFailure {
  const failed = state.decisions.flatMap((one) => (one.outcome === 'failed' ? [one] : []));
  const [first] = failed;
  if (first !== undefined) {
    const each = failed.map(({ rung, reason }) => `${rung} failed with ${reason}`);
    return fail(first.code, `No rung was measured: ${each.join('; ')}`, first.help);
  }
  const refused = state.path.some(({ answer }) => answer === 'rejected');
  const answer = state.approvals.records.findLast(({ verdict }) => verdict !== 'approve');
  if (refused && answer !== undefined) {
    const [code, what] =
      answer.verdict === 'timed-out'
        ? (['APPROVAL_TIMED_OUT', 'was not answered in time'] as const)
        : (['APPROVAL_REJECTED', 'was rejected'] as const);
    return fail(code, `No rung was measured: "${answer.title}" ${what}. ${answer.comment}`.trim());
  }
  if (reached === 'budget-exhausted') {
    const cut = state.decisions.find((one) => one.outcome === 'cut-off');
    const limit = cut?.by === 'tokens' ? `${spec.budget.tokens} tokens` : `${spec.budget.seconds} s`;
    return fail('BUDGET_EXHAUSTED', `The budget of ${limit} was spent before any rung was measured.`);
  }
  const end = state.path.at(-1)?.title ?? '';
  return fail('INVALID_SPEC', `flowchart: the path ended at "${end}" before any rung was tried.`);
}

import type { DecisionCriteria } from '../../schemas/plan/control-activities.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';

/** What judging and deciding take from a spec. */
export function criteriaOf({ target, metrics, statistics, seed }: AdaptationSpec): DecisionCriteria {
  const { level, resamples } = statistics;
  return { target, primary: metrics.primary, statistics: { level, resamples, seed } };
}

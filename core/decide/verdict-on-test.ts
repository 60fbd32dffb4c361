import type { FinalVerdict } from '../../schemas/outcome/decision.ts';
import type { DecideInput } from '../../schemas/plan/control-activities.ts';

/** Measuring alone never rejects a release. */
export type MeasuredVerdict = Exclude<FinalVerdict, 'release-rejected'>;

/** What the verdict rests on. */
export interface VerdictFacts {
  readonly reached: DecideInput['reached'];
  readonly target: number;
  /** Lower bound of the winner on the test rows. */
  readonly low: number;
  /** The same after the correction for every finalist that was scored on test. */
  readonly correctedLow: number;
}

/**
 * The test rows decide. A target that was met on dev was one claim before test was looked at: the winner's lower bound
 * must reach it, or it is not confirmed. Where dev did not meet the target, any finalist might have reached it on test
 * by luck: the bound that is corrected for all of them must reach it; where only the plain bound does, the target is
 * not confirmed. Where neither does, the verdict is that of the flowchart.
 */
export function verdictOnTest({ reached, target, low, correctedLow }: VerdictFacts): MeasuredVerdict {
  if (reached === 'target-met') return low >= target ? 'target-met' : 'target-not-confirmed';
  if (correctedLow >= target) return 'target-met';
  return low >= target ? 'target-not-confirmed' : reached;
}

/** The verdict as the end of a sentence whose subject is the winner. */
export function verdictText(verdict: MeasuredVerdict, facts: VerdictFacts): string {
  const target = facts.target.toFixed(3);
  const onDev = facts.reached === 'target-met';
  const bound = facts.correctedLow.toFixed(3);
  switch (verdict) {
    case 'target-met':
      return onDev
        ? `meets the target ${target}`
        : `meets the target ${target} on the test rows, which decide: its lower bound there, corrected for every finalist, is ${bound}, though dev did not show it`;
    case 'target-not-confirmed':
      return onDev
        ? `met the target ${target} on dev, but the test rows do not confirm it`
        : `reaches the target ${target} on the test rows, but neither on dev nor with the correction for every finalist (${bound})`;
    case 'target-not-met':
      return `is the best found; the target ${target} was not met on dev, and the flowchart leads to no further rung`;
    case 'budget-exhausted':
      return `is the best found before the budget ran out; the target is ${target}`;
  }
}

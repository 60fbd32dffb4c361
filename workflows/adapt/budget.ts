import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { BudgetUnit } from '../../schemas/outcome/decision.ts';
import type { LadderState } from './state.ts';
import { asCancellation, runCancelled } from '../shared/step-failure.ts';

/** What is left for rungs, after what scoring the finalists on test will take. */
export interface BudgetLeft {
  readonly seconds: number;
  /** Null when the spec does not limit them. */
  readonly tokens: number | null;
}

export function budgetLeft(plan: AdaptationPlan, state: LadderState): BudgetLeft {
  const { budget } = plan.spec;
  const tests = state.finalists.length + 1;
  return {
    seconds: budget.seconds - state.secondsElapsed() - plan.testEstimateSeconds * tests,
    tokens:
      budget.tokens === undefined
        ? null
        : budget.tokens - state.tokensSpent - plan.testEstimateTokens * tests,
  };
}

/** What a budget let happen: the work's value, or what ran out first. */
export type Afforded<T> = { readonly value: T } | { readonly cutOff: BudgetUnit };

/**
 * Runs work until it ends or the budget is spent; then it is cancelled and awaited. Whatever breaks from then on is the
 * cut-off: a worker that dies meanwhile gives a time-out and not a cancellation. Throws every other failure of the work.
 */
export async function withinBudget<T>(
  left: BudgetLeft,
  state: LadderState,
  work: () => Promise<T>,
): Promise<Afforded<T>> {
  let cutOff: BudgetUnit | null = null;
  // The first of the two: a cancellation of the run ends the clock before the work.
  const watch = new CancellationScope({ cancellable: true });
  const scope = new CancellationScope({ cancellable: true });
  const cut = (unit: BudgetUnit): void => {
    cutOff ??= unit;
    scope.cancel();
  };
  const limit = left.tokens === null ? null : state.tokensSpent + left.tokens;
  state.onSpent = () => {
    if (limit !== null && state.tokensSpent > limit) cut('tokens');
  };
  const watching = watch
    .run(() => untilWorked(left.seconds, state))
    .then(
      () => cut('seconds'),
      (error: unknown) => {
        if (!isCancellation(error)) throw error;
      },
    );
  try {
    return { value: await scope.run(work) };
  } catch (error) {
    if (runCancelled()) throw asCancellation(error);
    if (cutOff === null) throw error;
    return { cutOff };
  } finally {
    state.onSpent = () => undefined;
    watch.cancel();
    await watching;
  }
}

/** Waits until so many seconds were worked: time in which a person is waited for does not count. */
async function untilWorked(seconds: number, state: LadderState): Promise<void> {
  const end = state.secondsElapsed() + seconds;
  for (let left = seconds; left > 0; left = end - state.secondsElapsed()) {
    if (state.waitsForPerson()) await condition(() => !state.waitsForPerson());
    else await condition(() => state.waitsForPerson(), Math.max(1, Math.round(left * 1000)));
  }
}

import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { PlannedStep, StepActivities, StepResult } from '../../schemas/pipeline/plan.ts';
import { stepOptions } from '../pipeline/step-options.ts';
import { fail } from '../shared/fail.ts';

/** One attempt of a step that the workflow tries again by itself. */
export async function attemptStep(step: PlannedStep, activityId: string): Promise<StepResult> {
  const { retry, ...options } = stepOptions(step, activityId);
  const activities = proxyActivities<StepActivities>({
    ...options,
    retry: { ...retry, maximumAttempts: 1 },
  });
  const activity = activities[step.uses];
  if (activity === undefined) throw fail('STEP_KIND_UNKNOWN', `There is no step kind "${step.uses}".`);
  return await activity(step.with, { firstRunId: workflowInfo().firstExecutionRunId });
}

/** A worker that died, a time-out, an engine that crashed: all but a cancellation and what is final by its code. */
export function mayTryAgain(error: unknown): boolean {
  if (isCancellation(error) || !(error instanceof ActivityFailure)) return false;
  return !(error.cause instanceof ApplicationFailure && error.cause.nonRetryable === true);
}

/** The failure behind an activity's, in words. */
export function failureOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

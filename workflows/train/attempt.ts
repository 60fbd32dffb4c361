import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import type { PlannedStep, StepResult } from '../../schemas/plan/pipeline-plan.ts';
import { FINAL_TYPES, stepOptions } from '../pipeline/step-options.ts';
import type { StepActivities } from '../../activities/step-activities.ts';
import { fail } from '../shared/fail.ts';
import { guardPayload } from '../shared/payload.ts';

/** One attempt of a step that the workflow tries again by itself. */
export async function attemptStep(step: PlannedStep, activityId: string): Promise<StepResult> {
  const { retry, ...options } = stepOptions(step, activityId);
  const activities = proxyActivities<StepActivities>({
    ...options,
    retry: { ...retry, maximumAttempts: 1 },
  });
  const activity = activities[step.uses];
  if (activity === undefined) throw fail('STEP_KIND_UNKNOWN', `There is no step kind "${step.uses}".`);
  guardPayload(`${activityId}: what the step is given`, step.with);
  return await activity(step.with, { firstRunId: workflowInfo().firstExecutionRunId });
}

/** A worker that died, a time-out, an engine that crashed: all but a cancellation and what is final by its code or kind. */
export function mayTryAgain(error: unknown): boolean {
  if (isCancellation(error) || !(error instanceof ActivityFailure)) return false;
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure)) return true;
  // With one attempt for each scheduled activity the server has no use for its own list of final types.
  return cause.nonRetryable !== true && !FINAL_TYPES.includes(cause.type ?? '');
}

/** Whether an attempt failed without a code, which is a bug. */
export function isInternal(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.type === ('INTERNAL' satisfies ErrorCode);
}

/** How long the failure asks to wait before the next attempt, in milliseconds; 0 where it does not ask. */
export function retryAfterMsOf(error: unknown): number {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (!(cause instanceof ApplicationFailure)) return 0;
  // A decoded failure has lost its `nextRetryDelay`.
  const [detail] = cause.details ?? [];
  const asked = (detail as { readonly retryAfterMs?: unknown } | null | undefined)?.retryAfterMs;
  return typeof asked === 'number' ? asked : 0;
}

/** The failure behind an activity's, in words. */
export function failureOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { fail } from './fail.ts';

/**
 * The failure a run ends with: that of the step itself, not "Activity task failed", which is all that the list of runs
 * and the head of a run's page would show. Everything else, cancellation above all, passes as it is.
 */
export function unwrapFailure(error: unknown): unknown {
  if (!(error instanceof ActivityFailure)) return error;
  if (error.cause instanceof TimeoutFailure) return timedOut(error, error.cause);
  if (!(error.cause instanceof ApplicationFailure)) return error;
  const { message, type, details } = error.cause;
  if (type === 'NotFoundError') {
    const what = `No worker that took this on knows "${error.activityType}"`;
    return fail('STEP_KIND_UNKNOWN', `${what}: start it with the plugin that brings it. ${message}`);
  }
  return ApplicationFailure.create({
    message,
    type: type ?? undefined,
    details: details ?? [],
    nonRetryable: true,
    cause: error,
  });
}

/** The server gives up on a step without a code. */
function timedOut({ activityId, activityType }: ActivityFailure, { timeoutType }: TimeoutFailure) {
  const why =
    timeoutType === 'HEARTBEAT'
      ? 'its worker stopped sending heartbeats.'
      : 'it did not end within its time.';
  return fail('STEP_TIMED_OUT', `${activityId ?? activityType}: ${why}`);
}

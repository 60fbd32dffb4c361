import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';

/**
 * The failure a run ends with: that of the step itself, not "Activity task failed", which is all that the list of runs
 * and the head of a run's page would show. Everything else, cancellation above all, passes as it is.
 */
export function surface(error: unknown): unknown {
  if (!(error instanceof ActivityFailure && error.cause instanceof ApplicationFailure)) return error;
  const { message, type, details } = error.cause;
  return ApplicationFailure.create({
    message,
    type: type ?? undefined,
    details: details ?? [],
    nonRetryable: true,
    cause: error,
  });
}

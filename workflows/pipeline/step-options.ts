import { ActivityCancellationType, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import type { PlannedStep, RetryClass } from '../../schemas/pipeline/plan.ts';

/**
 * How often a step may be tried. Steps that only read, or whose result is published under its digest, can be repeated
 * safely, and every worker shutdown costs an attempt; a step that resumes counts by itself how often it got no further; what costs money is tried a few times; what must not happen twice
 * is tried once.
 */
const MAXIMUM_ATTEMPTS: Readonly<Record<RetryClass, number>> = {
  readOnly: 12,
  idempotentWrite: 12,
  // The server's word for "no limit".
  resumable: 0,
  billable: 3,
  onceOnly: 1,
};

/** Activity options of a planned step. The queue follows its resource class. */
export function stepOptions(step: PlannedStep, activityId: string): ActivityOptions {
  const queue = step.resource === 'gpu' ? 'gpu' : 'cpu';
  return {
    activityId,
    summary: step.summary,
    taskQueue: `${workflowInfo().taskQueue}-${queue}`,
    startToCloseTimeout: step.startToCloseTimeoutMs,
    heartbeatTimeout: step.heartbeatTimeoutMs,
    // Unset means "try cancel": the run would close while the step still holds the device.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: {
      initialInterval: '1s',
      backoffCoefficient: 2,
      maximumInterval: '30s',
      ...(MAXIMUM_ATTEMPTS[step.retry] === 0 ? {} : { maximumAttempts: MAXIMUM_ATTEMPTS[step.retry] }),
      nonRetryableErrorTypes: ['PayloadsTooLarge', 'NotFoundError'],
    },
  };
}

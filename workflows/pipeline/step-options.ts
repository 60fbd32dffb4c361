import { ActivityCancellationType, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import {
  MAX_BILLABLE_ATTEMPTS,
  MAX_RESUMABLE_ATTEMPTS,
  MAX_STEP_SUMMARY_BYTES,
} from '../../schemas/plan/constants.ts';
import type { PlannedStep, RetryClass } from '../../schemas/plan/pipeline-plan.ts';
import { queueName } from '../../schemas/plan/queues.ts';
import { summaryLine } from '../../schemas/common/plain-text.ts';

/**
 * How often a step may be tried. Steps that only read, or whose result is published under its digest, can be repeated
 * safely, and every worker shutdown costs an attempt; resumable steps count attempts without progress themselves; what
 * costs money is tried once more at most.
 */
const MAXIMUM_ATTEMPTS: Readonly<Record<RetryClass, number>> = {
  readOnly: 12,
  idempotentWrite: 12,
  resumable: MAX_RESUMABLE_ATTEMPTS,
  billable: MAX_BILLABLE_ATTEMPTS,
};

/** Failures that the SDK's workers make and no attempt can change: no such activity, a result beyond what the server takes. */
export const FINAL_TYPES: readonly string[] = ['PayloadsTooLarge', 'NotFoundError'];

/** Activity options of a planned step. The queue follows its resource class. */
export function stepOptions(step: PlannedStep, activityId: string): ActivityOptions {
  return {
    activityId,
    summary: summaryLine(step.summary, MAX_STEP_SUMMARY_BYTES),
    taskQueue: queueName(workflowInfo().taskQueue, step.resource),
    startToCloseTimeout: step.startToCloseTimeoutMs,
    heartbeatTimeout: step.heartbeatTimeoutMs,
    // Unset means "try cancel": the run would close while the step still holds the device.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: {
      initialInterval: '1s',
      backoffCoefficient: 2,
      maximumInterval: '30s',
      maximumAttempts: MAXIMUM_ATTEMPTS[step.retry],
      nonRetryableErrorTypes: [...FINAL_TYPES],
    },
  };
}

import {
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcDeadlineError,
  type Client,
} from '@temporalio/client';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { UPDATE_APPROVE } from '../schemas/plan/constants.ts';
import type { ApprovalAnswer } from '../schemas/outcome/approval.ts';
import { notFound, refusedUpdate } from './failures.ts';

/** Queries and updates need a worker; without one they would never return. */
const ANSWER_DEADLINE_MS = 10_000;

/** Asks a run; the query's name decides the answer's type `T`. Throws `RUN_NOT_FOUND` and `RUN_UNRESPONSIVE`. */
export async function queryRun<T>(
  temporal: Client,
  workflowId: string,
  query: string,
  deadlineMs = ANSWER_DEADLINE_MS,
): Promise<T> {
  try {
    return await temporal.withDeadline(Date.now() + deadlineMs, () =>
      temporal.workflow.getHandle(workflowId).query<T, []>(query),
    );
  } catch (cause) {
    throw unresponsive(cause, workflowId, deadlineMs) ?? notFound(cause, workflowId);
  }
}

/** Sends the answer to an approval. Throws what the run refuses, `RUN_NOT_FOUND` and `RUN_UNRESPONSIVE`. */
export async function answerRun(
  temporal: Client,
  workflowId: string,
  answer: ApprovalAnswer,
  deadlineMs = ANSWER_DEADLINE_MS,
): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + deadlineMs, () =>
      temporal.workflow.getHandle(workflowId).executeUpdate(UPDATE_APPROVE, { args: [answer] }),
    );
  } catch (cause) {
    throw refusedUpdate(cause) ?? unresponsive(cause, workflowId, deadlineMs) ?? notFound(cause, workflowId);
  }
}

function unresponsive(cause: unknown, workflowId: string, deadlineMs: number): EscadaFailure | null {
  const inTime = !(cause instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(cause));
  if (inTime) return null;
  return new EscadaFailure({
    code: 'RUN_UNRESPONSIVE',
    message: `No worker answered for "${workflowId}" within ${deadlineMs / 1000} s. Is one running on its task queue?`,
    cause,
  });
}

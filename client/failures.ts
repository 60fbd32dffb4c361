/** What the server's errors mean in the product's words. */
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { isErrorCode } from '../schemas/errors/error-codes.ts';

/** The coded failure behind a refused update; null when it is something else. */
export function refusedUpdate(error: unknown): EscadaFailure | null {
  const { cause } = error as { cause?: unknown };
  if (!(error instanceof WorkflowUpdateFailedError && cause instanceof ApplicationFailure)) return null;
  const code = cause.type ?? '';
  if (!isErrorCode(code)) return null;
  return new EscadaFailure({ code, message: cause.message, cause: error });
}

/** `RUN_NOT_FOUND` when that is what the server said, else what was given. */
export function notFound(cause: unknown, workflowId: string): unknown {
  if (!(cause instanceof WorkflowNotFoundError)) return cause;
  return new EscadaFailure({ code: 'RUN_NOT_FOUND', message: `There is no run "${workflowId}".`, cause });
}

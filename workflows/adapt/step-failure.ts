import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { StepFailure } from '../../schemas/adapt/candidate.ts';
import { ERROR_CODES, type ErrorCode } from '../../schemas/common/error-codes.ts';

/** What work came to: its value, or the failure of one of its steps. */
export type Settled<T> = { readonly value: T } | { readonly failure: StepFailure };

/**
 * Waits for work; the failure of a step, whichever, is a value. Throws only the cancellation of the run itself, and
 * what is no failure of a step but a fault of workflow code.
 */
export async function settled<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work };
  } catch (error) {
    if (runCancelled()) throw asCancellation(error);
    if (!(error instanceof TemporalFailure)) throw error;
    return { failure: stepFailure(error) };
  }
}

/** Whether the scope this is called in, and with it the run, was asked to end. */
export const runCancelled = (): boolean => CancellationScope.current().consideredCancelled;

/** A cancellation, whatever broke on its way: a worker that dies meanwhile gives a time-out. */
export function asCancellation(error: unknown): unknown {
  return isCancellation(error) ? error : new CancelledFailure('The run was cancelled');
}

/** Code and message of what happened, from the innermost failure that has any. */
export function stepFailure(error: unknown): StepFailure {
  const step = error instanceof ActivityFailure ? `${error.activityId ?? error.activityType}: ` : '';
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof ApplicationFailure) return ofApplication(current);
    if (current instanceof TimeoutFailure)
      return { code: 'STEP_TIMED_OUT', message: `${step}${timeoutText(current)}` };
  }
  return { code: 'INTERNAL', message: `${step}${error instanceof Error ? error.message : String(error)}` };
}

function ofApplication({ type, message }: ApplicationFailure): StepFailure {
  if (type != null && Object.hasOwn(ERROR_CODES, type)) return { code: type as ErrorCode, message };
  return { code: 'INTERNAL', message: type == null ? message : `${type}: ${message}` };
}

function timeoutText({ timeoutType }: TimeoutFailure): string {
  return timeoutType === 'HEARTBEAT'
    ? 'its worker gave no sign of life any more.'
    : 'it did not end within its time.';
}

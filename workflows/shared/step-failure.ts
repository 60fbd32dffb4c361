import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  TemporalFailure,
} from '@temporalio/workflow';
import type { StepFailure } from '../../schemas/outcome/decision.ts';
import { isErrorCode, isPluginCode } from '../../schemas/errors/error-codes.ts';
import { unwrapFailure } from './unwrap-failure.ts';

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

/** Code and message of what happened. */
function stepFailure(error: TemporalFailure): StepFailure {
  const failure = unwrapFailure(error);
  return failure instanceof ApplicationFailure
    ? ofApplication(failure)
    : { code: 'INTERNAL', message: error.message };
}

function ofApplication({ type, message, details }: ApplicationFailure): StepFailure {
  if (type != null && isErrorCode(type)) return { code: type, message };
  if (type != null && isPluginCode(type)) return { code: type, message, ...helpIn(details) };
  return { code: 'INTERNAL', message: type == null ? message : `${type}: ${message}` };
}

/** What the user can do, which travels with the code of a plugin. */
function helpIn(details: readonly unknown[] | null | undefined): { readonly help?: string } {
  const help = (details?.[0] as { readonly help?: unknown } | null | undefined)?.help;
  return typeof help === 'string' ? { help } : {};
}

import { ApplicationFailure } from '@temporalio/workflow';
import { builtInEntry, type FailureCode } from '../../schemas/errors/error-codes.ts';

/**
 * The only maker of failures inside workflow code; the code decides whether it may be retried, and a plugin's is final
 * here: its step was tried again already. `help`: what the user can do, for a plugin's code.
 */
export function fail(code: FailureCode, message: string, help?: string): ApplicationFailure {
  const nonRetryable = builtInEntry(code)?.retryable !== true;
  return ApplicationFailure.create({
    message,
    type: code,
    nonRetryable,
    ...(help === undefined ? {} : { details: [{ help }] }),
  });
}

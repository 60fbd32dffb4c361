import { ApplicationFailure } from '@temporalio/workflow';
import { ERROR_CODES, type ErrorCode } from '../../schemas/errors/error-codes.ts';

/** The only maker of failures inside workflow code; the code decides whether it may be retried. */
export function fail(code: ErrorCode, message: string): ApplicationFailure {
  return ApplicationFailure.create({ message, type: code, nonRetryable: !ERROR_CODES[code].retryable });
}

import { ApplicationFailure } from '@temporalio/common';
import { ERROR_CODES } from '../../schemas/common/error-codes.ts';
import { isEscadaFailure, type EscadaFailure } from '../../plugins/api/failure.ts';

/** Longest text of a failure: a history is no log. */
const MAX_MESSAGE_CHARS = 8000;

/** The only place that makes an `ApplicationFailure`: type = code, retryable as the error table says. */
export function toApplicationFailure(failure: EscadaFailure): ApplicationFailure {
  const entry = ERROR_CODES[failure.code];
  return ApplicationFailure.create({
    message: failure.message.slice(0, MAX_MESSAGE_CHARS),
    type: failure.code,
    nonRetryable: !entry.retryable,
    details: [failure.fields],
    cause: failure.cause instanceof Error ? failure.cause : undefined,
  });
}

/** Turns coded failures into application failures; lets everything else (cancellation, bugs) pass. */
export function translateFailure(error: unknown): unknown {
  return isEscadaFailure(error) ? toApplicationFailure(error) : error;
}

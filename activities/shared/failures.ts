import { ApplicationFailure } from '@temporalio/common';
import { ERROR_CODES } from '../../schemas/common/error-codes.ts';
import { isEscadaFailure, type EscadaFailure } from '../../plugins/api/failure.ts';
import { fileFailure } from './file-failures.ts';
import { redact, redactJson } from './redact.ts';

/** Longest text of a failure: a history is no log. */
const MAX_MESSAGE_CHARS = 8000;

/** Causes that are kept: what lies deeper explains nothing to a person. */
const MAX_CAUSES = 4;

/** The only place that makes an `ApplicationFailure`: type = code, retryable as the error table says; secrets masked. */
export function toApplicationFailure(failure: EscadaFailure): ApplicationFailure {
  const entry = ERROR_CODES[failure.code];
  return ApplicationFailure.create({
    message: shown(failure.message),
    type: failure.code,
    nonRetryable: !entry.retryable,
    details: [redactJson(failure.fields)],
    cause: causeOf(failure, MAX_CAUSES),
  });
}

/** Masked before it is cut: half of a secret would pass. */
function shown(message: string): string {
  return redact(message.slice(0, 4 * MAX_MESSAGE_CHARS)).slice(0, MAX_MESSAGE_CHARS);
}

/** The chain of causes as messages alone: stacks hold paths of the worker's machine, and texts that nobody has masked. */
function causeOf({ cause }: { readonly cause?: unknown }, left: number): Error | undefined {
  if (!(cause instanceof Error) || left === 0) return undefined;
  const copy = new Error(shown(cause.message), { cause: causeOf(cause, left - 1) });
  copy.name = cause.name;
  copy.stack = `${cause.name}: ${copy.message}`;
  return copy;
}

/**
 * Turns coded failures, and what an operating system says about disks, paths and rights, into application failures; lets
 * everything else (cancellation, bugs) pass.
 */
export function translateFailure(error: unknown): unknown {
  const failure = isEscadaFailure(error) ? error : fileFailure(error);
  return failure === null ? error : toApplicationFailure(failure);
}

import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { MAX_INTERNAL_ATTEMPTS } from '../schemas/plan/constants.ts';
import { builtInEntry, type ErrorEntry } from '../schemas/errors/error-codes.ts';
import { EscadaFailure, isEscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { fileFailure } from '../plugins/sdk/file-failures.ts';
import { redact, redactJson } from '../plugins/sdk/redact.ts';

/** The codes that a host knows: `FailureCodes` of its registry. */
export interface FailureTable {
  known(failure: EscadaFailure): { readonly failure: EscadaFailure; readonly entry: ErrorEntry };
}

/** Longest text of a failure: a history is no log. */
const MAX_MESSAGE_CHARS = 8000;

/** Causes that are kept: deeper ones explain nothing to a person. */
const MAX_CAUSES = 4;

/** Longest wait before the next attempt that a failure may ask for. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/**
 * The only place that makes an `ApplicationFailure`: type = code, retryable as the error table says; secrets masked. What
 * the failure asks to wait becomes the delay of the next attempt, and a detail, which workflow code can read.
 */
export function toApplicationFailure(
  failure: EscadaFailure,
  { retryable, help }: Pick<ErrorEntry, 'retryable' | 'help'>,
): ApplicationFailure {
  const retryAfterMs = waitOf(failure);
  // Neither workflow code nor a client elsewhere has the tables of plugins.
  const advice = builtInEntry(failure.code) === undefined ? { help } : {};
  const asked = { ...advice, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  return ApplicationFailure.create({
    message: shown(failure.message),
    type: failure.code,
    nonRetryable: !retryable,
    details: [{ ...redactJson(failure.fields), ...asked }],
    cause: causeOf(failure, MAX_CAUSES),
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  });
}

/** Whole milliseconds; undefined where nothing is asked, or no length of time. */
function waitOf({ retryAfterMs }: EscadaFailure): number | undefined {
  if (retryAfterMs === undefined || !(retryAfterMs > 0)) return undefined;
  return Math.min(MAX_RETRY_AFTER_MS, Math.ceil(retryAfterMs));
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

/** What is known of an attempt that failed. */
export interface AttemptLimits {
  /** Counts from 1. */
  readonly attempt?: number;
  /** Attempts of what fails without a code. */
  readonly maxInternalAttempts?: number;
  /** Nothing is tried after it, whatever its code allows. */
  readonly isLast?: boolean;
}

/**
 * Turns coded failures, and what an operating system says about disks, paths and rights, into application failures. What
 * has no code is a bug, which most likely repeats itself: `INTERNAL`, final with the last of a few attempts. `table`
 * holds the codes of plugins. Temporal's own failures (a cancellation) pass.
 */
export function translateFailure(
  error: unknown,
  table: FailureTable,
  { attempt = 1, maxInternalAttempts = MAX_INTERNAL_ATTEMPTS, isLast = false }: AttemptLimits = {},
): unknown {
  if (error instanceof TemporalFailure) return error;
  const coded = isEscadaFailure(error) ? error : fileFailure(error);
  if (coded !== null) {
    const { failure, entry } = table.known(coded);
    return toApplicationFailure(failure, { ...entry, retryable: entry.retryable && !isLast });
  }
  return toApplicationFailure(internalFailure(error), {
    help: '',
    retryable: !isLast && (isTransient(error) || attempt < maxInternalAttempts),
  });
}

function internalFailure(error: unknown): EscadaFailure {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new EscadaFailure({ code: 'INTERNAL', message: `Unexpected ${what}`, cause: error });
}

/** Errors of the operating system come and go: a socket, a network file system. */
function isTransient(error: unknown): boolean {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

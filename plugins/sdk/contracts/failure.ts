import type { FailureCode } from '../../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';

const MARK = Symbol.for('escada.failure');

/**
 * A failure with a stable code. Code outside `activities/failures.ts` throws this; only there does it become an
 * `ApplicationFailure`. The message says what happened and what to do; `fields` are for machines.
 */
export class EscadaFailure extends Error {
  /** A built-in code, or one that the plugin declares in `failureCodes`, with its name and a slash in front. */
  readonly code: FailureCode;
  readonly fields: JsonObject;
  /** How long whoever failed asks to wait before the next attempt, in milliseconds; absent where nobody asks. */
  readonly retryAfterMs?: number;
  readonly [MARK] = true;

  constructor(failure: {
    code: FailureCode;
    message: string;
    fields?: JsonObject;
    retryAfterMs?: number | undefined;
    cause?: unknown;
  }) {
    super(failure.message, failure.cause === undefined ? {} : { cause: failure.cause });
    this.name = 'EscadaFailure';
    this.code = failure.code;
    this.fields = failure.fields ?? {};
    if (failure.retryAfterMs !== undefined) this.retryAfterMs = failure.retryAfterMs;
  }
}

/** Recognises failures across copies of this module. */
export function isEscadaFailure(error: unknown): error is EscadaFailure {
  return typeof error === 'object' && error !== null && (error as { [MARK]?: boolean })[MARK] === true;
}

import type { ErrorEntry } from '../../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { EscadaFailure } from './failure.ts';

/** What one failure says beside its code. */
export interface FailureDetails {
  /** What happened, where, and what to do. */
  readonly message: string;
  /** For machines. */
  readonly fields?: JsonObject;
  /** Shortest wait before the next attempt, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * Makes failures with a plugin's own codes. `codes` is the plugin's `failureCodes`, so that a code which is not declared
 * does not compile.
 */
export function pluginFailures<Codes extends Readonly<Record<string, ErrorEntry>>>(
  plugin: string,
  _codes: Codes,
) {
  return (code: keyof Codes & string, details: FailureDetails): EscadaFailure =>
    new EscadaFailure({ code: `${plugin}/${code}`, ...details });
}

import { ERROR_CODES, type ErrorCode } from '../../schemas/common/error-codes.ts';
import { isEscadaFailure } from '../../plugins/api/failure.ts';
import { BootstrapError, explain } from '../../tools/bootstrap/lib/errors.mjs';

interface Caused {
  readonly message?: string;
  readonly type?: string | null;
  readonly cause?: unknown;
}

/** The failure with a known code in a chain of causes (a run wraps its step's failure several times). */
function findCoded(error: unknown): { readonly code: ErrorCode; readonly message: string } | null {
  for (
    let current = error as Caused | undefined;
    current != null;
    current = current.cause as Caused | undefined
  ) {
    if (isEscadaFailure(current)) return { code: current.code, message: current.message };
    const { type } = current;
    if (typeof type === 'string' && Object.hasOwn(ERROR_CODES, type)) {
      return { code: type as ErrorCode, message: current.message ?? '' };
    }
  }
  return null;
}

/** A failure as a user reads it: code, what happened, what to do. */
export function explainError(error: unknown): string {
  if (error instanceof BootstrapError) return explain(error);
  const coded = findCoded(error);
  if (coded === null) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${coded.code}: ${coded.message}\n  What to do: ${ERROR_CODES[coded.code].help}`;
}

/** 2 for what the user can correct, 1 for the rest. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof BootstrapError) return error.exitCode;
  const coded = findCoded(error);
  return coded !== null && !ERROR_CODES[coded.code].retryable && coded.code !== 'INTERNAL' ? 2 : 1;
}

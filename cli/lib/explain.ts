import { isGrpcServiceError } from '@temporalio/client';
import { redact } from '../../plugins/sdk/redact.ts';
import {
  builtInEntry,
  ERROR_CODES,
  isErrorCode,
  isPluginCode,
  type FailureCode,
} from '../../schemas/errors/error-codes.ts';
import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { BootstrapError, explain } from '../../runtime/bootstrap/errors.mjs';

/** gRPC's status for a server that cannot be reached. */
const GRPC_UNAVAILABLE = 14;

interface Caused {
  readonly message?: string;
  readonly type?: string | null;
  readonly details?: readonly unknown[] | null;
  readonly cause?: unknown;
}

/** A failure as it is explained. */
interface Coded {
  readonly code: string;
  readonly message: string;
  readonly help: string;
  readonly retryable: boolean;
}

/** The failure with a known code in a chain of causes (a run wraps its step's failure several times). */
function findCoded(error: unknown): Coded | null {
  for (
    let current = error as Caused | undefined;
    current != null;
    current = current.cause as Caused | undefined
  ) {
    if (isEscadaFailure(current)) return withEntry(current.code, current.message, undefined);
    const lost = lostServer(current);
    if (lost !== null) return withEntry('SERVER_UNREACHABLE', lost, undefined);
    const { type, message = '', details } = current;
    if (typeof type === 'string' && (isErrorCode(type) || isPluginCode(type)))
      return withEntry(type, message, details?.[0]);
  }
  return null;
}

/** The help for a plugin's code comes with the failure. */
function withEntry(code: FailureCode, message: string, detail: unknown): Coded {
  const { retryable, help } = builtInEntry(code) ?? { retryable: false, help: undefined };
  const given = (detail as { readonly help?: unknown } | null | undefined)?.help;
  const plugin = code.split('/')[0] ?? '';
  const otherwise = `See the documentation of the plugin ${plugin}; \`escada doctor\` says where it is from.`;
  return { code, message, retryable, help: help ?? (typeof given === 'string' ? given : otherwise) };
}

function lostServer(error: unknown): string | null {
  if (!isGrpcServiceError(error) || Number(error.code) !== GRPC_UNAVAILABLE) return null;
  return `The Temporal server is gone: ${error.details}.`;
}

/** How a run can end without a failure of its own, by the name of Temporal's error. */
const ENDINGS: Readonly<Record<string, string>> = {
  CancelledFailure: 'The run was cancelled. What it finished is kept; start it again to continue.',
  TerminatedFailure: 'The run was terminated. What it finished is kept; start it again to continue.',
  TimeoutFailure: 'The run, or one of its steps, was given up after its time limit.',
};

function endingOf(error: unknown): string | null {
  for (
    let current = error as Error | undefined;
    current != null;
    current = current.cause as Error | undefined
  ) {
    const ending = ENDINGS[current.name];
    if (ending !== undefined) return ending;
  }
  return null;
}

/** A failure as a user reads it: code, what happened, what to do. A stack trace only where `ESCADA_DEBUG` asks for it. */
export function explainError(error: unknown): string {
  if (error instanceof BootstrapError) return explain(error);
  const coded = findCoded(error);
  if (coded !== null) return redact(`${coded.code}: ${coded.message}\n  What to do: ${coded.help}`);
  const ending = endingOf(error);
  if (ending !== null) return ending;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (process.env['ESCADA_DEBUG'] && error instanceof Error) return redact(error.stack ?? message);
  return redact(`INTERNAL: ${message}\n  What to do: ${ERROR_CODES.INTERNAL.help}`);
}

/** 2 for what the user can correct, 1 for the rest. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof BootstrapError) return error.exitCode;
  const coded = findCoded(error);
  return coded !== null && !coded.retryable && coded.code !== 'INTERNAL' ? 2 : 1;
}

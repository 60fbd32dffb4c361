import { EscadaFailure } from '../../api/failure.ts';
import { ERROR_CODES, type ErrorCode } from '../../../schemas/common/error-codes.ts';

/** How the engine's process ended. */
export interface ProcessExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The error of a reply. A code outside the product's table means that the two sides were not built together. */
export function replyFailure(
  error: { code: string; message: string },
  fields: { method: string },
): EscadaFailure {
  if (error.code in ERROR_CODES) {
    return new EscadaFailure({ code: error.code as ErrorCode, message: error.message, fields });
  }
  return new EscadaFailure({
    code: 'ENGINE_INTERNAL',
    message: `unknown error code ${error.code}: ${error.message}`,
    fields,
  });
}

/** The process ended while an operation ran, or before one could start. */
export function crashFailure(
  exit: ProcessExit,
  lastLog: readonly string[],
  fields: { method: string; pid: number },
): EscadaFailure {
  const how = exit.signal === null ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
  // The kernel's out-of-memory killer leaves no word in the log.
  const hint = exit.signal === 'SIGKILL' && lastLog.length === 0 ? ' (out of memory?)' : '';
  const log = lastLog.length === 0 ? '' : `\n${lastLog.join('\n')}`;
  return new EscadaFailure({
    code: 'ENGINE_CRASHED',
    message: `The engine's process ended with ${how} during \`${fields.method}\`${hint}.${log}`,
    fields: { ...fields, exitCode: exit.exitCode, signal: exit.signal, lastLog },
  });
}

/** The operation went silent for longer than allowed and its process was killed. */
export function stallFailure(method: string, stallMs: number, lastLog: readonly string[]): EscadaFailure {
  const log = lastLog.length === 0 ? '' : `\n${lastLog.join('\n')}`;
  return new EscadaFailure({
    code: 'ENGINE_STALLED',
    message: `\`${method}\` gave no sign of life for ${stallMs} ms; the engine's process was killed.${log}`,
    fields: { method, stallMs, lastLog },
  });
}

/** The caller gave up; `killed` says that the process did not stop by itself in time. */
export function cancelFailure(method: string, reason: unknown, killed = false): EscadaFailure {
  return new EscadaFailure({
    code: 'ENGINE_CANCELLED',
    message: `\`${method}\` was cancelled${killed ? ' and its process killed' : ''}.`,
    fields: { method, killed },
    cause: reason,
  });
}

/** The child sent something that is not in the protocol. */
export function protocolFailure(method: string, problem: string): EscadaFailure {
  return new EscadaFailure({
    code: 'ENGINE_INTERNAL',
    message: `the engine's message is not in the protocol: ${problem}`,
    fields: { method },
  });
}

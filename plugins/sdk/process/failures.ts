import { EscadaFailure } from '../contracts/failure.ts';
import type { FailureCode } from '../../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { ProcessExit } from './child.ts';

/** Failures of a child process, in the caller's error codes. */
export interface ProcessFailures {
  /** The process ended while an operation ran, or before one could start. */
  crash(
    exit: ProcessExit,
    lastLog: readonly string[],
    fields: { method: string; pid: number },
  ): EscadaFailure;
  /** The operation went silent for longer than allowed and its process was killed. */
  readonly stall: (method: string, stallMs: number, lastLog: readonly string[]) => EscadaFailure;
  /** The caller gave up; `killed` says that the process did not stop by itself in time. */
  readonly cancel: (method: string, reason: unknown, killed?: boolean) => EscadaFailure;
  /** The child sent something that is not in the protocol. */
  readonly protocol: (method: string, problem: string) => EscadaFailure;
  /** The error of a reply. */
  reply(
    error: { code: string; message: string; fields?: JsonObject | undefined },
    fields: { method: string },
  ): EscadaFailure;
}

/** The failures that differ in name and code only. `process`: "The engine's process"; `peer`: "the engine". */
export function processFailures(names: {
  readonly process: string;
  readonly peer: string;
  readonly codes: Readonly<Record<'crash' | 'stall' | 'cancel' | 'protocol', FailureCode>>;
}): Omit<ProcessFailures, 'reply'> {
  const { process, peer, codes } = names;
  const quoted = (log: readonly string[]): string => (log.length === 0 ? '' : `\n${log.join('\n')}`);
  return {
    crash(exit, lastLog, fields) {
      const how = exit.signal === null ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
      // The kernel's out-of-memory killer leaves no word in the log.
      const hint = exit.signal === 'SIGKILL' && lastLog.length === 0 ? ' (out of memory?)' : '';
      return new EscadaFailure({
        code: codes.crash,
        message: `${process} ended with ${how} during \`${fields.method}\`${hint}.${quoted(lastLog)}`,
        fields: { ...fields, exitCode: exit.exitCode, signal: exit.signal, lastLog },
      });
    },
    stall: (method, stallMs, lastLog) =>
      new EscadaFailure({
        code: codes.stall,
        message: `\`${method}\` gave no sign of life for ${stallMs} ms; ${lowerFirst(process)} was killed.${quoted(lastLog)}`,
        fields: { method, stallMs, lastLog },
      }),
    cancel: (method, reason, killed = false) =>
      new EscadaFailure({
        code: codes.cancel,
        message: `\`${method}\` was cancelled${killed ? ' and its process killed' : ''}.`,
        fields: { method, killed },
        cause: reason,
      }),
    protocol: (method, problem) =>
      new EscadaFailure({
        code: codes.protocol,
        message: `${peer}'s message is not in the protocol: ${problem}`,
        fields: { method },
      }),
  };
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

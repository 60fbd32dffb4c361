import { EscadaFailure } from '../../../sdk/contracts/failure.ts';

/** A user's data file: its path for this step, and its name in messages. */
export interface DataFile {
  readonly path: string;
  readonly name: string;
}

/** `DATA_UNREADABLE`; `line` counts from 1 and is 0 when the fault has no line. */
export function unreadable(file: DataFile, line: number, why: string, cause?: unknown): EscadaFailure {
  const where = line > 0 ? `${file.name}, line ${line}` : file.name;
  const fields = { file: file.name, line };
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message: `${where}: ${why}.`, fields, cause });
}

/** How operating systems end a message about a disk, a right or a limit. */
const SYSTEM =
  /: (No space left on device|Disk quota exceeded|Permission denied|Input\/output error|Too many open files|No such file or directory|Read-only file system|Stale file handle)/;

/**
 * What to pass on as it is when a query over a file failed and the file was not at fault: the machine's memory, disk or
 * rights, an interruption, a defect of ours; undefined when the file was. The table engine says `IO Error` of both, so
 * the system's own reason decides.
 */
export function otherTrouble(cause: unknown): Error | undefined {
  const text = engineText(cause);
  const ofEngine = /^[A-Z][A-Za-z ]* Error: /.test(text) && !/^(Out of Memory|INTERRUPT) Error/.test(text);
  if (ofEngine && !SYSTEM.test(text)) return undefined;
  return cause instanceof Error ? cause : new Error(text);
}

export function engineText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

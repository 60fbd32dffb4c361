import { EscadaFailure } from '../../../api/failure.ts';

/** A user's data file: where it lies for this step, and what to call it in messages. */
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

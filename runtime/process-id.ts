/** Which process: a pid alone may belong to another program by the time somebody looks. */
import { createHash } from 'node:crypto';
import { bootId, processStart } from './bootstrap/process-identity.mjs';

export interface ProcessId {
  readonly pid: number;
  /** Digest of the moment the process began and of the machine's boot: 16 hexadecimal digits. */
  readonly birth: string;
}

/** The process that has this pid now; null when there is none, or only a zombie. */
export async function identify(pid: number): Promise<ProcessId | null> {
  const began = await processStart(pid);
  if (began === null) return null;
  return { pid, birth: createHash('sha256').update(`${bootId()} ${began}`).digest('hex').slice(0, 16) };
}

/** Whether that very process lives: not another one under its pid, and no zombie. */
export async function isAlive({ pid, birth }: ProcessId): Promise<boolean> {
  return (await identify(pid))?.birth === birth;
}

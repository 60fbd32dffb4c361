/** Which process: a pid alone may belong to another program by the time somebody looks. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface ProcessId {
  readonly pid: number;
  /** Digest of the moment the process began and of the machine's boot: 16 hexadecimal digits. */
  readonly birth: string;
}

/** The process that has this pid now; null when there is none, or only a zombie. */
export async function identify(pid: number): Promise<ProcessId | null> {
  const began = process.platform === 'linux' ? await beganByProc(pid) : await beganByPs(pid);
  if (began === null) return null;
  return { pid, birth: createHash('sha256').update(began).digest('hex').slice(0, 16) };
}

/** Whether that very process lives: not another one under its pid, and no zombie. */
export async function isAlive({ pid, birth }: ProcessId): Promise<boolean> {
  return (await identify(pid))?.birth === birth;
}

/** Clock ticks since the boot at which it began, after the boot's id. */
async function beganByProc(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch((error: NodeJS.ErrnoException) => {
    // Anything else says nothing about the process: a living one must not be taken for dead.
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return null;
    throw error;
  });
  // The program's name stands in brackets and may hold anything, brackets too.
  const [state, ...fields] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  const ticks = fields[18];
  if (ticks === undefined || state === 'Z' || state === 'X') return null;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${boot.trim()} ${ticks}`;
}

async function beganByPs(pid: number): Promise<string | null> {
  const listed = await promisify(execFile)('ps', ['-o', 'state=,lstart=', '-p', String(pid)]).catch(
    () => null,
  );
  const [state, ...began] = listed?.stdout.trim().split(/\s+/) ?? [];
  return state === undefined || state === '' || state.startsWith('Z') ? null : began.join(' ');
}

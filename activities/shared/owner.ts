/** Which process made a temporary file or folder, told by its name, and whether that process is still alive. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** `unknown`: made on another machine, so that nobody here can tell. */
export type OwnerState = 'alive' | 'dead' | 'unknown';

const TOKEN = /([0-9a-f]{8})([0-9a-f]{8})-(\d+)-(\d+)/;

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Clock ticks between the machine's start and the process's; '0' where the system does not say. */
function startTicks(pid: number | 'self'): string {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The name, in parentheses, may hold anything; the 20th field after it is the start.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
}

/** Process numbers mean something on one machine and inside one container only. */
const MACHINE = digest(`${hostname()}\0${attempt(() => readlinkSync('/proc/self/ns/pid'))}`);
const BOOT = digest(attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')));

/** This process: machine, start of the machine, process number, start of the process. A number that is used again differs. */
export const OWNER = `${MACHINE}${BOOT}-${process.pid}-${startTicks('self')}`;

/** A name that no other process or call chooses, and that says who made it. */
export function ownedName(prefix: string): string {
  return `${prefix}${OWNER}-${randomBytes(8).toString('hex')}`;
}

/** The state of the process whose token a name holds; `unknown` without a token. */
export function ownerState(name: string): OwnerState {
  const [, machine, boot, pid, start] = TOKEN.exec(name) ?? [];
  if (machine !== MACHINE) return 'unknown';
  if (boot !== BOOT || !isRunning(Number(pid))) return 'dead';
  const now = startTicks(Number(pid));
  return now === '0' || start === '0' || now === start ? 'alive' : 'dead';
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

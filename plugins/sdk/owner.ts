/** Which process made a temporary file or folder, by its name, and whether that process is still alive. */
import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { bootId, isRunning, pidNamespace, startInProc } from '../../runtime/bootstrap/process-identity.mjs';

/** `unknown`: made on another machine, or the system does not say, so that nobody here can know. */
export type OwnerState = 'alive' | 'dead' | 'unknown';

/** In place of a start where the system does not say it at once. */
const NO_START = '0';
const TOKEN = /([0-9a-f]{8})([0-9a-f]{8})-(\d+)-(\d+)/;

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Process numbers mean something on one machine and inside one container only. */
const MACHINE = digest(`${hostname()}\0${pidNamespace()}`);
const BOOT = digest(bootId());

/** This process: machine, start of the machine, process number, start of the process. A number that is used again differs. */
export const OWNER = `${MACHINE}${BOOT}-${process.pid}-${startInProc(process.pid) ?? NO_START}`;

/** A name that no other process or call chooses, and that says who made it. */
export function ownedName(prefix: string): string {
  return `${prefix}${OWNER}-${randomBytes(8).toString('hex')}`;
}

/** The state of the process whose token a name holds; `unknown` without a token. */
export async function ownerState(name: string): Promise<OwnerState> {
  const [, machine, boot, pid, start = NO_START] = TOKEN.exec(name) ?? [];
  if (machine !== MACHINE) return 'unknown';
  if (boot !== BOOT) return 'dead';
  try {
    return (await isRunning(Number(pid), start === NO_START ? null : start)) ? 'alive' : 'dead';
  } catch {
    // The system could not be asked: too many open files, say.
    return 'unknown';
  }
}

// Which process a number means: the system hands the numbers of ended processes out again. The one place that asks the
// system; what is written down about a process, and where, is the affair of those who ask here.
import { execFile } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';

/**
 * When a process started, in a form that only compares: equal exactly for the same process until the next boot.
 * @param {number} pid
 * @returns {Promise<string | null>} null when there is no such process (one that nobody waited for does not count), or
 *   when this system does not say.
 * @throws when Linux could not be asked, which says nothing: a living process must not be taken for dead.
 */
export async function processStart(pid) {
  return process.platform === 'linux' ? startInProc(pid) : await startByPs(pid);
}

/**
 * The same at once, by Linux's /proc alone; null on other systems.
 * @param {number} pid
 * @returns {string | null} Clock ticks between the boot and the process's start.
 */
export function startInProc(pid) {
  const [state, ...rest] = fieldsInProc(pid) ?? [];
  return state === undefined || 'ZX'.includes(state) ? null : (rest[18] ?? null);
}

/**
 * @param {number} pid
 * @returns {string[] | null} What /proc says of it, from its state on; null when it shows no such process.
 */
function fieldsInProc(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold blanks and parentheses itself.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    const { code = '' } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

/**
 * When a process started, as `ps` reports it: for systems without /proc.
 * @param {number} pid
 * @returns {Promise<string | null>} null without such a process.
 */
export async function startByPs(pid) {
  const args = ['-o', 'state=,lstart=', '-p', String(pid)];
  // The same words whoever asks.
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  /** @type {string} */
  const listed = await new Promise((resolve) => {
    execFile('ps', args, { env }, (error, stdout) => resolve(error === null ? stdout.trim() : ''));
  });
  const [state = '', ...began] = listed.split(/\s+/);
  return state === '' || state.startsWith('Z') ? null : began.join(' ');
}

/**
 * Whether the process that was `pid` and started at `start` still runs; `start` null: whether any `pid` does.
 * @param {number} pid
 * @param {string | null} start From `processStart`.
 * @returns {Promise<boolean>}
 */
export async function isRunning(pid, start) {
  let foreign = false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    foreign = /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
    if (!foreign) return false;
  }
  const now = await processStart(pid);
  if (now !== null) return start === null || now === start;
  // Elsewhere than on Linux `ps` may simply not be there; a hardened /proc shows nobody the processes of other users.
  if (process.platform !== 'linux' || (foreign && fieldsInProc(pid) === null)) return true;
  // It ended meanwhile, or nobody waited for it.
  return false;
}

/** @returns {string} Of this machine's boot; empty where the system has none. */
export function bootId() {
  return attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** @returns {string} Of the container that process numbers count in; empty where there is none. */
export function pidNamespace() {
  return attempt(() => readlinkSync('/proc/self/ns/pid'));
}

/**
 * Where process numbers mean the same processes: this host, since its boot, and within its containers the own one.
 * It distinguishes containers and hosts with equal names that share a folder.
 * @returns {string}
 */
export function processSpace() {
  return [os.hostname(), bootId(), pidNamespace()].filter((part) => part !== '').join(' ');
}

/** @param {() => string} read */
function attempt(read) {
  try {
    return read();
  } catch {
    return '';
  }
}

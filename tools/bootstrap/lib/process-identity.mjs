// Which process a number means: the system hands the numbers of ended processes out again.
import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import os from 'node:os';

/**
 * When a process started, in a form that only compares: equal exactly for the same process until the next boot.
 * @param {number} pid
 * @returns {Promise<string | null>} null when there is no such process (one that nobody waited for does not count), or
 *   when this system does not tell.
 */
export async function processStart(pid) {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    // The name, in parentheses, may hold blanks and parentheses itself.
    const [state, ...rest] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
    return state === undefined || 'ZX'.includes(state) ? null : (rest[18] ?? null);
  }
  return new Promise((resolve) => {
    execFile(
      'ps',
      ['-o', 'lstart=', '-p', String(pid)],
      { env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } },
      (error, stdout) => resolve(error === null ? stdout.trim() || null : null),
    );
  });
}

/**
 * Whether the process that was `pid` and started at `start` still runs; `start` null: whether any `pid` does.
 * @param {number} pid
 * @param {string | null} start From `processStart`.
 * @returns {Promise<boolean>}
 */
export async function isRunning(pid, start) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPERM') return false;
  }
  const now = await processStart(pid);
  if (now !== null) return start === null || now === start;
  // It ended meanwhile, or nobody waited for it; elsewhere than on Linux, `ps` may simply not be there.
  return process.platform !== 'linux';
}

/**
 * Where process numbers mean the same processes: this host, since its boot, and within its containers the own one.
 * Containers and hosts with equal names that share a folder are told apart by it.
 * @returns {Promise<string>}
 */
export async function processSpace() {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return [os.hostname(), boot.trim(), namespace].filter((part) => part !== '').join(' ');
}

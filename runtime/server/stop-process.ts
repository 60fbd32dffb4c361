import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, type ProcessId } from '../process-id.ts';

const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Asks a child to end, and kills it when it does not. */
export async function stopProcess(child: ChildProcess, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await exited;
  clearTimeout(timer);
}

/** The same for a process that need not be a child. Never signals another one that has its pid by now. */
export async function stopById(id: ProcessId, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  if (await isAlive(id)) signal(id.pid, 'SIGTERM');
  while (await isAlive(id)) {
    if (Date.now() > deadlineMs) signal(id.pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

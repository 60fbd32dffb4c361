/** Processes of a test: who belongs to which home folder, and a last resort that leaves none behind. */
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const owned = new Set<number>();

let watching = false;

/** Kills this process (and its group, when it leads one) should the test end without having stopped it. */
export function own(pid: number): void {
  owned.add(pid);
  if (watching) return;
  watching = true;
  process.once('exit', killOwned);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(143));
}

export function disown(pid: number): void {
  owned.delete(pid);
}

function killOwned(): void {
  for (const pid of owned) {
    for (const target of [-pid, pid]) {
      try {
        process.kill(target, 'SIGKILL');
      } catch {
        // Gone, or no group of its own: nothing is left to kill.
      }
    }
  }
}

/** What a command printed. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Owns a child until it ends, and gathers what it prints. */
export async function resultOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<CommandResult> {
  if (child.pid !== undefined) own(child.pid);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (piece) => (stdout += String(piece)));
  child.stderr.on('data', (piece) => (stderr += String(piece)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (child.pid !== undefined) disown(child.pid);
  return { code, stdout, stderr };
}

/** One process as `/proc` shows it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  readonly command: string;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended between the listing and the look.
    return '';
  }
}

/** Living processes whose environment names this home folder. Linux only; zombies do not count. */
export function processesOf(home: string): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      if (!read(`/proc/${name}/environ`).split('\0').includes(`ESCADA_HOME=${home}`)) return [];
      const [state, parentPid] = read(`/proc/${name}/stat`).split(') ').at(-1)?.split(' ') ?? [];
      if (state === undefined || state === 'Z') return [];
      const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
      return [{ pid: Number(name), parentPid: Number(parentPid), command }];
    });
}

/** The process that computes for a worker: its child that holds the native engine. */
export function engineOf(home: string): ProcessEntry | undefined {
  return processesOf(home).find(({ command }) => command.includes('nf4-lora/worker/child'));
}

/** Waits until `look` gives something; throws with `what` when the deadline passes. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const deadlineMs = Date.now() + (options.timeoutMs ?? 180_000);
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadlineMs) throw new Error(`waited in vain for ${what}`);
    await sleep(options.everyMs ?? 100);
  }
}

/** Waits until no process of a home folder is left; throws with those that are. */
export async function untilNoneLeft(home: string): Promise<void> {
  const left = () => processesOf(home).map(({ pid, command }) => `${pid} ${command}`);
  await until('the last process to end', () => (left().length === 0 ? true : undefined), {
    timeoutMs: 30_000,
  }).catch(() => {
    throw new Error(`processes are left: ${left().join('; ')}`);
  });
}

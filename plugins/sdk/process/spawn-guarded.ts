import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../package-paths.ts';
import { closedOf, holdHandles, type SpawnedChild } from './child.ts';

/** A command that somebody else wrote. */
export interface GuardedCommand {
  /** Program and arguments; no shell. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** `descriptors`: requests on descriptor 3, replies on 4. `stdio`: standard input and output, for wrappers. */
  readonly pipes: 'descriptors' | 'stdio';
}

/** What the guard reports to the worker. */
export type GuardMessage = { readonly pid: number } | { readonly error: string };

const GUARD = fileURLToPath(moduleUrl('./guard.ts', import.meta.url));

/** A process that left its group may hold the pipes of a command that has ended: nobody waits for it longer. */
const LEFT_PIPES_MS = 2000;

/**
 * Starts a command under a guard (`guard.ts`). Standard error, and standard output where it is free, are its log.
 * Throws an `Error` that says why it cannot be started.
 */
export async function spawnGuarded(command: GuardedCommand, env: NodeJS.ProcessEnv): Promise<SpawnedChild> {
  if (!existsSync(command.cwd)) throw new Error(`there is no folder ${command.cwd}`);
  const flags = ['--disable-warning=ExperimentalWarning'];
  const guard = spawn(process.execPath, [...flags, GUARD, JSON.stringify(command)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'ipc'],
  });
  const closed = closedOf(guard);
  const pid = await commandPid(guard);
  const [output, log, requests, replies] = guard.stdio.slice(1) as [Readable, Readable, Duplex, Duplex];
  const killGroup = (): void => {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody is left.
    }
  };
  guard.on('exit', () => {
    killGroup();
    const streams = [output, log, requests, replies];
    setTimeout(() => streams.forEach((stream) => stream.destroy()), LEFT_PIPES_MS).unref();
  });
  return {
    pid,
    requests,
    replies,
    logs: [output, log],
    closed,
    kill: () => {
      killGroup();
      guard.kill('SIGKILL');
    },
    hold: holdHandles([guard, output, log, requests, replies]),
  };
}

/** Waits until the guard has started the command. */
function commandPid(guard: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('its guard ended before it was started'));
    guard.once('error', reject).once('exit', ended);
    guard.once('message', (message) => {
      guard.off('exit', ended);
      // The channel stays open, for the guard to see when the worker is gone; it must not keep the worker alive.
      guard.channel?.unref();
      const answer = message as GuardMessage;
      if ('pid' in answer) resolve(answer.pid);
      else reject(new Error(answer.error));
    });
  });
}

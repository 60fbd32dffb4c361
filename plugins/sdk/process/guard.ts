/**
 * Main of the process between a worker and a command that is not ours: it starts the command as the leader of a process
 * group, ends as the command ends, and ends the whole group when the worker is gone. So no command has to be trusted to
 * notice that its worker died, and no helper that a command started is left behind.
 */
import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, writeFileSync } from 'node:fs';
import type { GuardedCommand, GuardMessage } from './spawn-guarded.ts';

const { command, cwd, pipes } = JSON.parse(process.argv[2] ?? '{}') as GuardedCommand;

/** The worker's two pipes, as this process holds them. */
const [REQUESTS, REPLIES] = [3, 4];

const STDIO: Readonly<Record<GuardedCommand['pipes'], StdioOptions>> = {
  descriptors: ['ignore', 'inherit', 'inherit', REQUESTS, REPLIES],
  stdio: [REQUESTS, REPLIES, 'inherit'],
};

// A terminal's Ctrl-C and a service manager's stop reach the whole group: the worker decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

// When memory runs out, the kernel should take the command and not the worker. The command inherits it.
try {
  writeFileSync('/proc/self/oom_score_adj', '500');
} catch {
  // Not Linux, or not allowed.
}

const [program = '', ...args] = command;
const child = spawn(program, args, { cwd, stdio: STDIO[pipes], detached: true });
// The command's ends of the pipes are its own: the worker must see them close.
closeSync(REQUESTS);
closeSync(REPLIES);

const report = (message: GuardMessage, then = (): void => undefined): void => {
  process.send?.(message, then);
};

const killGroup = (): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
};

child.on('spawn', () => report({ pid: child.pid ?? -1 }));
child.on('error', (error) => report({ error: error.message }, () => process.exit(1)));
child.on('exit', (code, signal) => {
  killGroup();
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});

process.on('disconnect', () => {
  killGroup();
  process.exit(1);
});

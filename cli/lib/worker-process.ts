import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../../activities/shared/own-files.ts';
import { stopProcess } from './stop-process.ts';

const WORKER = fileURLToPath(moduleUrl('../../worker.ts', import.meta.url));
const RESTART_MS = 1000;
/** Longer than the worker's own grace. */
const STOP_TIMEOUT_MS = 30_000;

/** A worker with all roles in a process of its own, started again when it dies: runs go on where they were. */
export class WorkerProcess {
  readonly #env: NodeJS.ProcessEnv;
  readonly #logPath: string;
  readonly #onRestart: (why: string) => void;
  #child: ChildProcess | null = null;
  #stopping = false;

  private constructor(env: NodeJS.ProcessEnv, logPath: string, onRestart: (why: string) => void) {
    this.#env = env;
    this.#logPath = logPath;
    this.#onRestart = onRestart;
  }

  static async start(options: {
    readonly env: NodeJS.ProcessEnv;
    readonly logPath: string;
    readonly onRestart: (why: string) => void;
  }): Promise<WorkerProcess> {
    await mkdir(dirname(options.logPath), { recursive: true });
    const worker = new WorkerProcess(options.env, options.logPath, options.onRestart);
    worker.#spawn();
    return worker;
  }

  #spawn(): void {
    const log = createWriteStream(this.#logPath, { flags: 'a' });
    const args = ['--disable-warning=ExperimentalWarning', WORKER, 'all'];
    // The ipc channel carries nothing: it closes when this process dies, and the worker ends with it.
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
    const child = spawn(process.execPath, args, { env: this.#env, stdio: [...stdio], detached: true });
    child.stdout?.pipe(log);
    child.stderr?.pipe(log);
    child.once('exit', (code, signal) => {
      if (this.#stopping) return;
      this.#onRestart(
        `the worker ended (${signal ?? `exit ${code}`}); starting another one. Its log: ${this.#logPath}`,
      );
      setTimeout(() => this.#spawn(), RESTART_MS);
    });
    this.#child = child;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child !== null) await stopProcess(this.#child, STOP_TIMEOUT_MS);
  }
}

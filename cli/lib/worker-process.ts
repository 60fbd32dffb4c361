import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../../plugins/sdk/package-paths.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { keepShort, lastWord, logSize, openLog, setAside, tailOf } from '../../runtime/log-file.ts';
import { stopProcess } from '../../runtime/server/stop-process.ts';

const WORKER = fileURLToPath(moduleUrl('../../worker.ts', import.meta.url));
/** Pause before the first restart; it doubles with every one that follows soon. */
const RESTART_MS = 1000;
const MAX_RESTART_MS = 30_000;
/** One that lived this long had started well. */
const STARTED_WELL_MS = 60_000;
/** Ends in a row soon after a start: the next start would end the same way. */
const MAX_QUICK_ENDS = 5;
/** Longer than the worker's own grace. */
const STOP_TIMEOUT_MS = 30_000;
/** Logs of earlier commands that are kept. */
const MAX_OLD_LOGS = 10;

export interface WorkerProcessOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly logPath: string;
  /** Hears why the worker ended when another one follows. */
  readonly onRestart: (why: string) => void;
  /** The program and its arguments; default: the worker with all roles. */
  readonly command?: readonly [string, ...string[]];
  readonly restartMs?: number;
}

/**
 * A worker with all roles in a process of its own, started again when it dies: runs continue where they were. One that
 * keeps dying soon after its start is given up.
 */
export class WorkerProcess {
  /** Rejects with `WORKER_FAILED` when the worker is given up. */
  readonly failed: Promise<never>;
  readonly #options: WorkerProcessOptions;
  readonly #stopCutting: () => void;
  #giveUp: (failure: EscadaFailure) => void = () => undefined;
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | undefined;
  #quickEnds = 0;
  #stopping = false;

  private constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.#stopCutting = keepShort(options.logPath);
    this.failed = new Promise<never>((_, reject) => (this.#giveUp = reject));
    this.failed.catch(() => undefined);
  }

  static async start(options: WorkerProcessOptions): Promise<WorkerProcess> {
    await setAside(options.logPath);
    const worker = new WorkerProcess(options);
    worker.#spawn();
    return worker;
  }

  #spawn(): void {
    const { env, logPath } = this.#options;
    const [program, ...args] = this.#options.command ?? [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      WORKER,
      'all',
    ];
    const log = openLog(logPath);
    const [fromBytes, startedMs] = [logSize(logPath), Date.now()];
    // The ipc channel carries nothing: it closes when this process dies, and the worker ends with it.
    const child = spawn(program, args, { env, stdio: ['ignore', log.fd, log.fd, 'ipc'], detached: true });
    log.release();
    const onEnd = (how: string) => {
      this.#child = null;
      if (!this.#stopping) this.#startAgain(how, fromBytes, Date.now() - startedMs);
    };
    child.once('exit', (code, signal) => onEnd(String(signal ?? `exit ${code}`)));
    child.once('error', (error) => {
      if (child.pid === undefined) onEnd(error.message);
    });
    this.#child = child;
  }

  #startAgain(how: string, fromBytes: number, livedMs: number): void {
    const { logPath, onRestart, restartMs = RESTART_MS } = this.#options;
    const said = lastWord(tailOf(logPath, fromBytes));
    const why = `the worker ended (${how})${said === null ? '' : `: ${said}`}`;
    this.#quickEnds = livedMs < STARTED_WELL_MS ? this.#quickEnds + 1 : 1;
    if (this.#quickEnds >= MAX_QUICK_ENDS) return this.#giveUp(givenUp(why, this.#quickEnds, logPath));
    const pauseMs = Math.min(restartMs * 2 ** (this.#quickEnds - 1), MAX_RESTART_MS);
    onRestart(`${why}\n  Starting another one in ${Math.ceil(pauseMs / 1000)} s. Its log: ${logPath}`);
    this.#restart = setTimeout(() => this.#spawn(), pauseMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#stopCutting();
    if (this.#child !== null) await stopProcess(this.#child, STOP_TIMEOUT_MS);
  }
}

function givenUp(why: string, times: number, logPath: string): EscadaFailure {
  return new EscadaFailure({
    code: 'WORKER_FAILED',
    message: `${why}. It was started ${times} times in a row and ended soon each time. Its log: ${logPath}`,
    fields: { log: logPath },
  });
}

/** The log of this command's worker in a home folder; removes the oldest of earlier ones. */
export async function workerLog(home: string): Promise<string> {
  const path = join(home, 'logs', `worker-${process.pid}.log`);
  const names = await readdir(dirname(path)).catch(() => []);
  const logs = await Promise.all(
    names
      .filter((name) => /^worker-\d+\.log(\.1)?$/.test(name))
      .map(async (name) => {
        const log = join(dirname(path), name);
        return { log, changedMs: (await stat(log).catch(() => null))?.mtimeMs ?? 0 };
      }),
  );
  const old = logs.sort((a, b) => b.changedMs - a.changedMs).slice(MAX_OLD_LOGS);
  for (const { log } of old) await rm(log, { force: true });
  return path;
}

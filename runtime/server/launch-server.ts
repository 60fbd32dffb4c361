import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../../plugins/sdk/package-paths.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { identify, type ProcessId } from '../process-id.ts';
import { lastWord, openLog, setAside, tailOf } from '../log-file.ts';
import { answers, choosePort, uiPort } from './ports.ts';
import { removeNote, writeNote, type ServerFiles } from './server-note.ts';
import { stopProcess } from './stop-process.ts';

const GUARD = fileURLToPath(moduleUrl('./server-guard.ts', import.meta.url));
const START_TIMEOUT_MS = 60_000;
/** For a program that does not say where it serves: one that could not have its port has ended by then. */
const SETTLE_MS = 10_000;
const POLL_MS = 100;
const MAX_TRIES = 5;

export interface LaunchedServer extends ProcessId {
  readonly port: number;
  /** Rejects when it ends. */
  readonly died: Promise<never>;
}

/**
 * Starts a server in the database's folder, on the port that is given or on one that is free. A port may be taken
 * between the look and the start: then the next one is tried. Throws `SERVER_PORT_TAKEN`, `SERVER_UNREACHABLE`.
 */
export async function launchServer(
  cliPath: string,
  files: ServerFiles,
  given: number | undefined,
): Promise<LaunchedServer> {
  let from: number | undefined;
  for (let tries = 1; ; tries++) {
    const port = given ?? (await choosePort(from));
    try {
      return await launchOn(port, cliPath, files);
    } catch (error) {
      await removeNote(files);
      if (!/address already in use/.test(tailOf(files.log))) throw error;
      if (given !== undefined || tries === MAX_TRIES) throw portTaken(port, error);
      from = port + 2;
    }
  }
}

async function launchOn(port: number, cliPath: string, files: ServerFiles): Promise<LaunchedServer> {
  await setAside(files.log);
  const log = openLog(files.log);
  const child = spawn(cliPath, serverArguments(port, files.database), {
    // The database's name is part of a URI, whereas its folder's may hold `#`, `?` or `%`.
    cwd: files.folder,
    stdio: ['ignore', log.fd, log.fd],
    env: serverEnvironment(),
    // Its own group: a Ctrl-C meant for the command must not stop the server before the worker has ended.
    detached: true,
  });
  log.release();
  child.unref();
  const died = once(child, 'exit').then(
    ([code, signal]): never => {
      throw ended(files, `${String(signal ?? `exit ${String(code)}`)}`);
    },
    (cause: unknown): never => {
      throw ended(files, `${cliPath}: ${(cause as Error).message}`);
    },
  );
  died.catch(() => undefined);
  const id = child.pid === undefined ? null : await identify(child.pid);
  if (id === null) return await died;
  try {
    await writeNote(files, { ...id, port });
    startGuard(files);
    await Promise.race([untilServing(port, files), died]);
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
  return { ...id, port, died };
}

/** It reports to nobody, belongs to no terminal and needs no environment. */
function startGuard({ folder, database }: ServerFiles): void {
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--max-old-space-size=32',
    GUARD,
    join(folder, database),
  ];
  const guard = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore', env: {}, detached: true });
  // Without it the server is still stopped by the last command that ends by itself.
  guard.on('error', () => undefined);
  guard.unref();
}

function serverArguments(port: number, database: string): string[] {
  const settings = {
    // Without it every step would wait some 80 ms for a rate limiter.
    'history.transferProcessorMaxPollRPS': '2000',
    'frontend.WorkflowPauseEnabled': 'true',
    // A web page that has its own name resolved to this machine is refused.
    'frontend.httpAllowedHosts': '["127.0.0.1:*","localhost:*","127.0.0.1","localhost"]',
  };
  return [
    ...[
      'server',
      'start-dev',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--ui-port',
      String(uiPort(port)),
    ],
    ...['--db-filename', database],
    ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=full'],
    ...Object.entries(settings).flatMap(([name, value]) => ['--dynamic-config-value', `${name}=${value}`]),
    ...['--log-level', 'warn'],
  ];
}

/** What is meant for clients of another server is nothing to this one. */
function serverEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_'));
  return { ...Object.fromEntries(others), TEMPORAL_CONFIG_FILE: devNull };
}

/** Somebody may answer on the port who is not this server: its own log says when it serves. */
async function untilServing(port: number, files: ServerFiles): Promise<void> {
  const saysSo = new RegExp(`Server:\\s+\\S+:${port}\\b`);
  const startedMs = Date.now();
  let answeredMs: number | undefined;
  for (;;) {
    if (await answers(port)) {
      answeredMs ??= Date.now();
      if (saysSo.test(tailOf(files.log)) || Date.now() - answeredMs > SETTLE_MS) return;
    }
    if (Date.now() - startedMs > START_TIMEOUT_MS) {
      const message = `The Temporal server did not answer on port ${port} within ${START_TIMEOUT_MS / 1000} s. Its log: ${files.log}`;
      throw new EscadaFailure({ code: 'SERVER_UNREACHABLE', message });
    }
    await sleep(POLL_MS);
  }
}

function ended(files: ServerFiles, how: string): EscadaFailure {
  const why = lastWord(tailOf(files.log));
  return new EscadaFailure({
    code: 'SERVER_UNREACHABLE',
    message: `The Temporal server ended (${how}).${why === null ? '' : ` It said: ${why}`} Its log: ${files.log}`,
    fields: { log: files.log },
  });
}

function portTaken(port: number, cause: unknown): EscadaFailure {
  return new EscadaFailure({
    code: 'SERVER_PORT_TAKEN',
    message: `Port ${port}, or ${uiPort(port)} for the Web UI, is in use by another program.`,
    fields: { port },
    cause,
  });
}

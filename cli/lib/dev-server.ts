import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EscadaFailure } from '../../plugins/api/failure.ts';

export interface DevServer {
  readonly address: string;
  readonly uiUrl: string;
  /** Rejects when the server ends by itself. */
  readonly died: Promise<never>;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const PREFERRED_PORT = 7233;
const UI_OFFSET = 1000;

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((resolve) => probe.close(resolve));
  return free;
}

/** A port whose neighbour for the Web UI is free too; the usual one when possible. */
async function choosePort(): Promise<number> {
  for (let port = PREFERRED_PORT; port < PREFERRED_PORT + 200; port += 2) {
    if ((await isFree(port)) && (await isFree(port + UI_OFFSET))) return port;
  }
  throw new EscadaFailure({
    code: 'SERVER_UNREACHABLE',
    message: 'No free port for a Temporal server was found.',
  });
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/**
 * Starts a Temporal server with its Web UI over a SQLite file: what it has acknowledged survives Ctrl-C, a crash and
 * kill -9. Without the raised poll rate every step would wait some 80 ms for a rate limiter.
 */
export async function startDevServer(options: {
  readonly cliPath: string;
  readonly databasePath: string;
  readonly port?: number;
}): Promise<DevServer> {
  await mkdir(dirname(options.databasePath), { recursive: true });
  const left = await adoptServer(options.databasePath);
  if (left !== null) return left;
  const port = options.port ?? (await choosePort());
  const log = createWriteStream(join(dirname(options.databasePath), 'server.log'), { flags: 'a' });
  const child = spawn(options.cliPath, serverArguments(port, options.databasePath), {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own group: a Ctrl-C meant for the command must not stop the server before the worker has ended.
    detached: true,
  });
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  const died = once(child, 'exit').then(([code, signal]): never => {
    throw new EscadaFailure({
      code: 'SERVER_UNREACHABLE',
      message: `The Temporal server ended (${signal ?? `exit ${code}`}). Its log: ${log.path.toString()}`,
    });
  });
  died.catch(() => undefined);
  await Promise.race([untilAnswers(port), died]);
  const note = `${options.databasePath}.server.json`;
  await writeFile(note, JSON.stringify({ pid: child.pid, port }));
  const stop = async () => {
    await stopProcess(child);
    await rm(note, { force: true });
  };
  return { ...endpoints(port), died, stop };
}

function endpoints(port: number): { readonly address: string; readonly uiUrl: string } {
  return { address: `127.0.0.1:${port}`, uiUrl: `http://127.0.0.1:${port + UI_OFFSET}` };
}

/** A server over the same database that an earlier command, killed before it could stop it, has left behind. */
async function adoptServer(databasePath: string): Promise<DevServer | null> {
  const note = `${databasePath}.server.json`;
  const text = await readFile(note, 'utf8').catch(() => null);
  if (text === null) return null;
  const { pid, port } = JSON.parse(text) as { pid: number; port: number };
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (!command.includes(databasePath) || !(await answers(port))) return null;
  const stop = async () => {
    process.kill(pid, 'SIGTERM');
    await rm(note, { force: true });
  };
  return { ...endpoints(port), died: new Promise<never>(() => undefined), stop };
}

function serverArguments(port: number, databasePath: string): string[] {
  return [
    ...[
      'server',
      'start-dev',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--ui-port',
      String(port + UI_OFFSET),
    ],
    ...[
      '--db-filename',
      databasePath,
      '--sqlite-pragma',
      'journal_mode=wal',
      '--sqlite-pragma',
      'synchronous=normal',
    ],
    ...['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'],
    ...['--dynamic-config-value', 'frontend.WorkflowPauseEnabled=true', '--log-level', 'warn'],
  ];
}

async function untilAnswers(port: number): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (Date.now() > deadlineMs) {
      const message = `The Temporal server did not answer on port ${port} within ${START_TIMEOUT_MS / 1000} s.`;
      throw new EscadaFailure({ code: 'SERVER_UNREACHABLE', message });
    }
    await sleep(100);
  }
}

/** Asks a process to end, and kills it when it does not. */
export async function stopProcess(child: ChildProcess, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await exited;
  clearTimeout(timer);
}

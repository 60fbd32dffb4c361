/** Composition root of a worker process: `node worker.ts [control|cpu|gpu|all]`. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { readSettings, type Settings } from './activities/shared/settings.ts';
import { listOpenRuns } from './client/open-runs.ts';
import { createProjectHost } from './plugins.ts';
import { EscadaFailure, isEscadaFailure } from './plugins/api/failure.ts';
import { inTurn } from './worker/device-turn.ts';
import { startLoopWatchdog } from './worker/loop-watchdog.ts';
import { activityDeps, ROLES, roleOptions, type Role } from './worker/roles.ts';
import { asRunner, createAll, runTogether } from './worker/run-together.ts';
import { tidyUp } from './worker/tidy-up.ts';

const RECONNECT_MS = 1000;
const CONNECT_TRIES = 60;

interface Connected {
  readonly connection: NativeConnection;
  readonly namespace: string;
}

/** The native connection fails at once on a dead port, and a server may still be starting. */
async function connect(): Promise<Connected> {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  for (let tries = 1; ; tries++) {
    try {
      const connection = await NativeConnection.connect(connectionOptions);
      return { connection, namespace: namespace ?? 'default' };
    } catch (cause) {
      if (tries === 1) process.stderr.write(`worker: no connection yet: ${messageOf(cause)}\n`);
      if (tries >= CONNECT_TRIES) {
        const address = connectionOptions.address ?? 'localhost:7233';
        const message = `No Temporal server answers at ${address}: ${messageOf(cause)}`;
        throw new EscadaFailure({ code: 'SERVER_UNREACHABLE', message, fields: { address }, cause });
      }
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }
}

/**
 * Runs the roles in this process until it is told to stop (SIGINT, SIGTERM). When one fails, the others are stopped in
 * order and its failure is thrown.
 */
export async function runWorker(roles: readonly Role[], settings: Settings = readSettings()): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connected = await connect();
  const host = createProjectHost();
  const { storeRoot } = settings;
  const tidy = tidyUp({ ...connected, storeRoot, listOpenRuns, messageOf });
  try {
    const deps = activityDeps(host, settings);
    const make = (role: Role) => async () => {
      const options = { ...connected, ...roleOptions(role, settings.taskQueue, deps) };
      return await Worker.create(options).catch((cause: unknown) => {
        throw notStarted(role, connected.namespace, cause);
      });
    };
    const light = await createAll(roles.filter((role) => role !== 'gpu').map(make));
    const runners = light.map((worker) => asRunner(worker));
    if (roles.includes('gpu'))
      runners.push(inTurn(dirname(settings.storeRoot), async () => asRunner(await make('gpu')())));
    // Begins here: bundling the workflows has held up the event loop until now.
    const stopWatching = startLoopWatchdog({
      warn: (message) => void Runtime.instance().logger.warn(message),
    });
    await runTogether(runners).finally(stopWatching);
  } finally {
    await tidy.settled();
    await Promise.allSettled([host.close(), connected.connection.close()]).then(reportProblems);
  }
}

function notStarted(role: Role, namespace: string, cause: unknown): EscadaFailure {
  return new EscadaFailure({
    code: 'WORKER_FAILED',
    message: `The worker for ${role} cannot start in namespace "${namespace}": ${messageOf(cause)}`,
    fields: { role, namespace },
    cause,
  });
}

/** What goes wrong at the end must not hide why it came to the end. */
function reportProblems(results: readonly PromiseSettledResult<void>[]): void {
  for (const result of results) {
    if (result.status === 'rejected') process.stderr.write(`worker: ${messageOf(result.reason)}\n`);
  }
}

/** A failure on one line, with what lies behind it. */
function messageOf(error: unknown): string {
  const parts: string[] = [];
  for (let one = error; one instanceof Error && parts.length < 5; one = one.cause) {
    // The answer of the server once more, as the native code sees it.
    const message = one.message.split(': Status {')[0] ?? '';
    const part = isEscadaFailure(one) ? `${one.code}: ${message}` : message;
    if (!parts.some((earlier) => earlier.includes(part))) parts.push(part);
  }
  return (parts.length === 0 ? String(error) : parts.join(': ')).replaceAll(/\s*\n\s*/g, ' ');
}

/** Roles from a word of the command line; null when there is no such role. */
export function parseRoles(word: string | undefined): readonly Role[] | null {
  if (word === undefined || word === 'all') return ROLES;
  return ROLES.filter((role) => role === word).length === 1 ? [word as Role] : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const roles = parseRoles(process.argv[2]);
  if (roles === null) {
    process.stderr.write(`worker: unknown role "${process.argv[2]}"; use one of ${ROLES.join(', ')}, all\n`);
    process.exitCode = 2;
  } else {
    // A worker that another process owns ends with it; without an ipc channel this never fires.
    const end = () => process.kill(process.pid, 'SIGTERM');
    process.once('disconnect', end);
    await runWorker(roles).catch((error: unknown) => {
      process.stderr.write(`worker: ${messageOf(error)}\n`);
      process.exitCode = 1;
    });
    // A channel that is listened to keeps the process alive.
    process.off('disconnect', end);
    process.channel?.unref();
  }
}

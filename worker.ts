/** Composition root of a worker process: `node worker.ts [control|cpu|gpu|all]`. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { readSettings, type Settings } from './runtime/settings.ts';
import { listOpenRuns } from './client/open-runs.ts';
import { loadHost } from './plugins.ts';
import { connect, messageOf, notStarted } from './worker/connect.ts';
import { inTurn } from './worker/device-turn.ts';
import { startLoopWatchdog } from './worker/loop-watchdog.ts';
import { activityDeps, ROLES, roleOptions, type Role } from './worker/roles.ts';
import { asRunner, createAll, runTogether } from './worker/run-together.ts';
import { tidyUp } from './worker/tidy-up.ts';

/**
 * Runs the roles in this process until it is told to stop (SIGINT, SIGTERM). When one fails, the others are stopped in
 * order and its failure is thrown.
 */
export async function runWorker(roles: readonly Role[], settings: Settings = readSettings()): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connected = await connect();
  const host = await loadHost();
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

/** What goes wrong at the end must not hide why it came to the end. */
function reportProblems(results: readonly PromiseSettledResult<void>[]): void {
  for (const result of results) {
    if (result.status === 'rejected') process.stderr.write(`worker: ${messageOf(result.reason)}\n`);
  }
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

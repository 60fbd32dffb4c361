/** Composition root of a worker process: `node worker.ts [all|control|cpu|gpu|io …]`. */
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { readSettings, type Settings } from './runtime/settings.ts';
import { listOpenRuns } from './client/open-runs.ts';
import { loadHost } from './plugins.ts';
import { connect, messageOf, notStarted } from './worker/connect.ts';
import { inTurn } from './worker/device-turn.ts';
import { startLoopWatchdog } from './worker/loop-watchdog.ts';
import { activityDeps, roleOptions } from './worker/roles.ts';
import { ROLES, type Role } from './schemas/plan/queues.ts';
import { asRunner, createAll, runTogether } from './worker/run-together.ts';
import { tidyUp } from './worker/tidy-up.ts';

/**
 * Runs the roles in this process until it is asked to stop (SIGINT, SIGTERM). When one fails, the others are stopped in
 * order and its failure is thrown.
 */
export async function runWorker(roles: readonly Role[], settings: Settings = readSettings()): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connected = await connect();
  const host = await loadHost();
  const deps = activityDeps(host, settings);
  const { store } = deps;
  const tidy = tidyUp({ ...connected, home: settings.home, store, listOpenRuns, messageOf });
  try {
    const make = (role: Role) => async () => {
      const options = { ...connected, ...roleOptions(role, settings, deps) };
      return await Worker.create(options).catch((cause: unknown) => {
        throw notStarted(role, connected.namespace, cause);
      });
    };
    const light = await createAll(roles.filter((role) => role !== 'gpu').map(make));
    const runners = light.map((worker) => asRunner(worker));
    if (roles.includes('gpu')) runners.push(inTurn(settings.home, async () => asRunner(await make('gpu')())));
    // Begins here: bundling the workflows has held up the event loop until now.
    const stopWatching = startLoopWatchdog({
      warn: (message) => void Runtime.instance().logger.warn(message),
    });
    await runTogether(runners).finally(stopWatching);
  } finally {
    await tidy.settled();
    await Promise.allSettled([host.close(), store.close(), connected.connection.close()]).then(
      reportProblems,
    );
  }
}

/** What goes wrong at the end must not hide why it came to the end. */
function reportProblems(results: readonly PromiseSettledResult<void>[]): void {
  for (const result of results) {
    if (result.status === 'rejected') process.stderr.write(`worker: ${messageOf(result.reason)}\n`);
  }
}

/** Roles from words of the command line, all of them for none; the first word that is no role is returned in their place. */
export function parseRoles(words: readonly string[]): readonly Role[] | string {
  if (words.length === 0 || words.includes('all')) return ROLES;
  const unknown = words.find((word) => !(ROLES as readonly string[]).includes(word));
  return unknown ?? ROLES.filter((role) => words.includes(role));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const roles = parseRoles(process.argv.slice(2));
  if (typeof roles === 'string') {
    process.stderr.write(`worker: unknown role "${roles}"; use one of ${ROLES.join(', ')}, all\n`);
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

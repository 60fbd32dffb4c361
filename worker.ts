/** Composition root of a worker process: `node worker.ts [control|cpu|gpu|all]`. */
import { fileURLToPath } from 'node:url';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { readSettings, type Settings } from './activities/shared/settings.ts';
import { createProjectHost } from './plugins.ts';
import { activityDeps, ROLES, roleOptions, type Role } from './worker/roles.ts';

const RECONNECT_MS = 1000;
const CONNECT_TRIES = 60;

/** The native connection fails at once on a dead port, and a server may still be starting. */
async function connect(): Promise<{ readonly connection: NativeConnection; readonly namespace: string }> {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  for (let tries = 1; ; tries++) {
    try {
      return {
        connection: await NativeConnection.connect(connectionOptions),
        namespace: namespace ?? 'default',
      };
    } catch (error) {
      if (tries >= CONNECT_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }
}

/** Runs the roles in this process until it is told to stop (SIGINT, SIGTERM). */
export async function runWorker(roles: readonly Role[], settings: Settings = readSettings()): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const { connection, namespace } = await connect();
  const host = createProjectHost();
  try {
    const deps = activityDeps(host, settings);
    const workers = await Promise.all(
      roles.map((role) =>
        Worker.create({ connection, namespace, ...roleOptions(role, settings.taskQueue, deps) }),
      ),
    );
    await Promise.all(workers.map((worker) => worker.run()));
  } finally {
    await host.close();
    await connection.close();
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
    await runWorker(roles);
    // A channel that is listened to keeps the process alive.
    process.off('disconnect', end);
    process.channel?.unref();
  }
}

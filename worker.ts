/** Composition root of a worker process: `node worker.ts [control|cpu|gpu|all]`. */
import { fileURLToPath } from 'node:url';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { FileStore } from './activities/artifacts/file-store.ts';
import {
  createControlActivities,
  createStepActivities,
  type ActivityDeps,
} from './activities/create-activities.ts';
import { readSettings, type Settings } from './activities/shared/settings.ts';
import { createProjectHost } from './plugins.ts';

const ROLES = ['control', 'cpu', 'gpu'] as const;
type Role = (typeof ROLES)[number];

/** Time for a checkpoint before a shutdown turns into a kill. */
const SHUTDOWN_GRACE = '20s';
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

function roleOptions(role: Role, settings: Settings, deps: ActivityDeps): WorkerOptions {
  const shared = {
    taskQueue: role === 'control' ? settings.taskQueue : `${settings.taskQueue}-${role}`,
    shutdownGraceTime: SHUTDOWN_GRACE,
    // Also the latency of a cancellation: progress older than this is of no use to anyone.
    maxHeartbeatThrottleInterval: '3s',
  };
  if (role === 'control') {
    return {
      ...shared,
      workflowsPath: fileURLToPath(new URL('./workflows/index.ts', import.meta.url)),
      activities: createControlActivities(deps),
    };
  }
  // One device, one step on it; everything else is small.
  const maxConcurrentActivityTaskExecutions = role === 'gpu' ? 1 : 4;
  return { ...shared, activities: createStepActivities(deps), maxConcurrentActivityTaskExecutions };
}

/** Runs the roles in this process until it is told to stop (SIGINT, SIGTERM). */
export async function runWorker(roles: readonly Role[], settings: Settings = readSettings()): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const { connection, namespace } = await connect();
  const host = createProjectHost();
  try {
    const deps = { host, store: new FileStore(settings.storeRoot), dataRoots: settings.dataRoots };
    const workers = await Promise.all(
      roles.map((role) => Worker.create({ connection, namespace, ...roleOptions(role, settings, deps) })),
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

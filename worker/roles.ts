/** What a worker of each role takes on: composition root that `worker.ts` and `plugin.ts` share. */
import { fileURLToPath } from 'node:url';
import type { WorkerOptions } from '@temporalio/worker';
import { openStore } from '../core/store/open-store.ts';
import { createControlActivities, type ActivityDeps } from '../activities/control-activities.ts';
import { createStepActivities } from '../activities/step-activities.ts';
import { moduleUrl } from '../plugins/sdk/package-paths.ts';
import type { Settings } from '../runtime/settings.ts';
import type { PluginHost } from '../plugins/host/host.ts';
import { queueName, type ResourceClass, type Role } from '../schemas/plan/queues.ts';

/** Settings that the Workers of roles depend on. */
type RoleSettings = Pick<Settings, 'taskQueue' | 'ioConcurrency'>;

/** The workflows, for Temporal's bundler. */
export const WORKFLOWS_PATH = fileURLToPath(moduleUrl('../workflows/index.ts', import.meta.url));

/** Time for a checkpoint before a shutdown turns into a kill. */
const SHUTDOWN_GRACE = '20s';

/** What activities work with. Close the store at the end. Throws `STORE_CONFIG_INVALID`. */
export function activityDeps(host: PluginHost, settings: Settings): ActivityDeps {
  return { host, store: openStore(host, settings), dataRoots: settings.dataRoots };
}

/** Steps of a class that one worker runs at once: one device, one step on it; a step that waits for a service costs little. */
const concurrencyOf = ({ ioConcurrency }: RoleSettings): Readonly<Record<ResourceClass, number>> => ({
  cpu: 4,
  gpu: 1,
  io: ioConcurrency,
});

/** Options of the Worker for one role; `taskQueue` is the base name. */
export function roleOptions(role: Role, settings: RoleSettings, deps: ActivityDeps): WorkerOptions {
  const shared = {
    taskQueue: queueName(settings.taskQueue, role),
    shutdownGraceTime: SHUTDOWN_GRACE,
    // Also the latency of a cancellation: progress older than this is of no use to anyone.
    maxHeartbeatThrottleInterval: '3s',
  } as const;
  if (role === 'control')
    return { ...shared, workflowsPath: WORKFLOWS_PATH, activities: createControlActivities(deps) };
  const maxConcurrentActivityTaskExecutions = concurrencyOf(settings)[role];
  return { ...shared, activities: createStepActivities(deps), maxConcurrentActivityTaskExecutions };
}

/** What a worker of each role takes on: composition root that `worker.ts` and `plugin.ts` share. */
import { fileURLToPath } from 'node:url';
import type { WorkerOptions } from '@temporalio/worker';
import { FileStore } from '../core/store/file-store.ts';
import { createControlActivities, type ActivityDeps } from '../activities/control-activities.ts';
import { createStepActivities } from '../activities/step-activities.ts';
import { moduleUrl } from '../plugins/sdk/package-paths.ts';
import type { Settings } from '../runtime/settings.ts';
import type { PluginHost } from '../plugins/host/host.ts';

/** `control`: workflows and their small activities; `cpu`, `gpu`: the steps of that resource class. */
export const ROLES = ['control', 'cpu', 'gpu'] as const;
export type Role = (typeof ROLES)[number];

/** The workflows, for Temporal's bundler. */
export const WORKFLOWS_PATH = fileURLToPath(moduleUrl('../workflows/index.ts', import.meta.url));

/** Time for a checkpoint before a shutdown turns into a kill. */
const SHUTDOWN_GRACE = '20s';

/** What activities work with. */
export function activityDeps(host: PluginHost, settings: Settings): ActivityDeps {
  return { host, store: new FileStore(settings.storeRoot), dataRoots: settings.dataRoots };
}

/** Options of the Worker for one role; `taskQueue` is the base name. */
export function roleOptions(role: Role, taskQueue: string, deps: ActivityDeps): WorkerOptions {
  const shared = {
    taskQueue: role === 'control' ? taskQueue : `${taskQueue}-${role}`,
    shutdownGraceTime: SHUTDOWN_GRACE,
    // Also the latency of a cancellation: progress older than this is of no use to anyone.
    maxHeartbeatThrottleInterval: '3s',
  } as const;
  if (role === 'control')
    return { ...shared, workflowsPath: WORKFLOWS_PATH, activities: createControlActivities(deps) };
  // One device, one step on it; everything else is small.
  const maxConcurrentActivityTaskExecutions = role === 'gpu' ? 1 : 4;
  return { ...shared, activities: createStepActivities(deps), maxConcurrentActivityTaskExecutions };
}

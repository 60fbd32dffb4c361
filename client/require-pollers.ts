import type { Client } from '@temporalio/client';
import { EscadaFailure } from '../plugins/api/failure.ts';

/** Temporal's numbers for the two kinds of task queue. */
const [WORKFLOW_TASKS, ACTIVITY_TASKS] = [1, 2];

/** Throws `NO_WORKER` when nobody polls one of the task queues that runs on `taskQueue` use. */
export async function requirePollers(temporal: Client, taskQueue: string): Promise<void> {
  const missing: string[] = [];
  for (const [name, taskQueueType] of [
    [taskQueue, WORKFLOW_TASKS],
    [`${taskQueue}-cpu`, ACTIVITY_TASKS],
    [`${taskQueue}-gpu`, ACTIVITY_TASKS],
  ] as const) {
    const { pollers } = await temporal.workflowService.describeTaskQueue({
      namespace: temporal.options.namespace,
      taskQueue: { name },
      taskQueueType,
    });
    if ((pollers ?? []).length === 0) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new EscadaFailure({
    code: 'NO_WORKER',
    message: `Nobody polls the task queue ${missing.join(', ')}. Start a worker with \`escada worker\`, then try again.`,
    fields: { missing },
  });
}

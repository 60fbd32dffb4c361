import { isGrpcServiceError, type Client } from '@temporalio/client';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { queueName, RESOURCE_CLASSES, type ResourceClass } from '../schemas/plan/queues.ts';
import { startWorker } from '../schemas/errors/hints.ts';

/** Temporal's numbers for the two kinds of task queue. */
const [WORKFLOW_TASKS, ACTIVITY_TASKS] = [1, 2];

/** Throws `NO_WORKER` when no worker polls the queue of the workflows, or that of one of the resource classes. */
export async function requirePollers(
  temporal: Client,
  taskQueue: string,
  resources: readonly ResourceClass[] = RESOURCE_CLASSES,
): Promise<void> {
  const missing: string[] = [];
  for (const role of ['control', ...resources] as const) {
    const name = queueName(taskQueue, role);
    const taskQueueType = role === 'control' ? WORKFLOW_TASKS : ACTIVITY_TASKS;
    const { namespace } = temporal.options;
    const { pollers } = await temporal.workflowService
      .describeTaskQueue({ namespace, taskQueue: { name }, taskQueueType })
      .catch((cause: unknown) => {
        throw refusal(cause, namespace) ?? cause;
      });
    if ((pollers ?? []).length === 0) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new EscadaFailure({
    code: 'NO_WORKER',
    message: `No worker is polling task queue ${missing.join(', ')}; the run would never start. ${startWorker(', then try again')}`,
    fields: { missing },
  });
}

/** gRPC's statuses for what is not there, not allowed, not logged in. */
const [NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED] = [5, 7, 16];

/** What the first call to a server reveals about the settings it was made with; null for another error. */
function refusal(cause: unknown, namespace: string): EscadaFailure | null {
  if (!isGrpcServiceError(cause)) return null;
  const code = Number(cause.code);
  if (![NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED].includes(code)) return null;
  const message =
    code === NOT_FOUND
      ? `The Temporal server has no namespace "${namespace}": set TEMPORAL_NAMESPACE, or correct the profile.`
      : `The Temporal server refuses access to namespace "${namespace}": ${cause.details}`;
  return new EscadaFailure({ code: 'TEMPORAL_CONFIG_INVALID', message, fields: { namespace }, cause });
}

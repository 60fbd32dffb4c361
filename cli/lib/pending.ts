import type { WorkflowExecutionDescription } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { EscadaClient } from '../../client.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';

/** A step that runs or waits now, with its newest heartbeat. */
export interface PendingStep {
  readonly id: string;
  readonly kind: string;
  readonly attempt: number;
  readonly details: JsonObject;
  readonly lastFailure: string | null;
}

/** Read from the server's description, so that it works while the worker is down. */
export async function pendingSteps(client: EscadaClient, workflowId: string): Promise<PendingStep[]> {
  const description = await client.handle(workflowId).describe();
  return (description.raw.pendingActivities ?? []).map(stepOf);
}

type PendingActivity = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];

/** A step as the server describes it. */
export function stepOf(activity: PendingActivity): PendingStep {
  const payload = activity.heartbeatDetails?.payloads?.[0];
  const details = payload == null ? null : defaultPayloadConverter.fromPayload<JsonValue>(payload);
  return {
    id: activity.activityId ?? '',
    kind: activity.activityType?.name ?? '',
    attempt: activity.attempt ?? 1,
    details: isObject(details) ? details : {},
    lastFailure: activity.lastFailure?.message ?? null,
  };
}

/** A heartbeat may carry nothing, and what another release's worker sends may be anything. */
function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

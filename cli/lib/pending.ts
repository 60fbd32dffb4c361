import { defaultPayloadConverter } from '@temporalio/common';
import type { EscadaClient } from '../../client.ts';
import type { JsonObject } from '../../schemas/common/json.ts';

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
  return (description.raw.pendingActivities ?? []).map((activity) => {
    const payload = activity.heartbeatDetails?.payloads?.[0];
    const details = payload == null ? {} : defaultPayloadConverter.fromPayload<JsonObject>(payload);
    return {
      id: activity.activityId ?? '',
      kind: activity.activityType?.name ?? '',
      attempt: activity.attempt ?? 1,
      details,
      lastFailure: activity.lastFailure?.message ?? null,
    };
  });
}

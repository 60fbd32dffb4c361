import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { EscadaClient } from '../../../client.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';

export type History = Awaited<ReturnType<ReturnType<EscadaClient['handle']>['fetchHistory']>>;

/** What a history says of one activity. */
export interface HistoryActivity {
  readonly id: string;
  readonly type: string;
  /** The attempt that started last; 0 when none did. */
  readonly attempt: number;
  readonly completed: boolean;
  readonly result: JsonObject | undefined;
}

/** Activities of a history in the order they were scheduled; one that was scheduled twice is there twice. */
export function activitiesOf(history: History): HistoryActivity[] {
  const events = history.events ?? [];
  const sameAs = (id: unknown) => (other: { scheduledEventId?: unknown } | null | undefined) =>
    other != null && String(other.scheduledEventId) === String(id);
  return events.flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled == null) return [];
    const mine = sameAs(event.eventId);
    const started = events.find((one) => mine(one.activityTaskStartedEventAttributes));
    const completed = events.find((one) => mine(one.activityTaskCompletedEventAttributes));
    const payload = completed?.activityTaskCompletedEventAttributes?.result?.payloads?.[0];
    return [
      {
        id: scheduled.activityId ?? '',
        type: scheduled.activityType?.name ?? '',
        attempt: started?.activityTaskStartedEventAttributes?.attempt ?? 0,
        completed: completed !== undefined,
        result: payload == null ? undefined : defaultPayloadConverter.fromPayload<JsonObject>(payload),
      },
    ];
  });
}

function isPayload(value: object): value is Payload {
  return 'metadata' in value && 'data' in value && (value as { data: unknown }).data instanceof Uint8Array;
}

/** Every payload in a history, wherever it is. */
export function payloadsOf(value: unknown): Payload[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  if (isPayload(value)) return [value];
  return Object.values(value).flatMap(payloadsOf);
}

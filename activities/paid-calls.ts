import { performance } from 'node:perf_hooks';
import { actionKey } from '../core/store/action-cache.ts';
import type { ArtifactStoreV1, StepPlace } from '../plugins/sdk/contracts/artifact-store.ts';
import type { ModelRef } from '../schemas/common/model-ref.ts';
import type { JsonObject } from '../schemas/common/json.ts';
import type { CallResult, RowsRequest } from './chunked-call.ts';

/** The kind under which the result of one call is stored. */
const PAID_CALL = 'paid-call@1';

/** The step that pays, and where what it paid for is kept. */
export interface Payer {
  readonly store: ArtifactStoreV1;
  readonly place: StepPlace;
  readonly runId: string;
}

/** A call as it is identified: its method and its model beside the request. */
export interface PaidCall<Request extends RowsRequest> {
  readonly method: string;
  readonly model: ModelRef;
  readonly request: Request;
}

/**
 * Makes a call once: its result is stored before anybody works with it, so that the next attempt of the same step of the
 * same run finds it and does not pay for it again.
 */
export async function keptCall<Request extends RowsRequest, Result extends CallResult>(
  { method, model, request }: PaidCall<Request>,
  { store, place, runId }: Payer,
  call: () => Promise<Result>,
): Promise<Result> {
  const { signal: _signal, onProgress: _onProgress, ...asked } = request;
  const input = JSON.parse(JSON.stringify({ method, model, asked })) as JsonObject;
  const key = actionKey({ kind: PAID_CALL, input, plugins: {}, salt: JSON.stringify(place) });
  const kept = await store.getAction(key);
  if (kept?.kind === PAID_CALL) return decoded(kept.output);
  const started = performance.now();
  const result = await call();
  const seconds = (performance.now() - started) / 1000;
  await store.putAction({ key, kind: PAID_CALL, output: encoded(result), seconds });
  await store.noteUse(place, { activity: [runId, place.nodeId, key], action: key, references: [] });
  return result;
}

/** As it is stored: vectors as lists, without members that are undefined. */
function encoded(result: unknown): JsonObject {
  const listed = (_name: string, value: unknown): unknown =>
    value instanceof Float32Array ? [...value] : value;
  return JSON.parse(JSON.stringify(result, listed)) as JsonObject;
}

function decoded<Result extends CallResult>(output: JsonObject): Result {
  const { embeddings } = output as { readonly embeddings?: readonly (JsonObject & { vector: number[] })[] };
  if (embeddings === undefined) return output as unknown as Result;
  const vectors = embeddings.map((one) => ({ ...one, vector: Float32Array.from(one.vector) }));
  return { ...output, embeddings: vectors } as unknown as Result;
}

import type { ArtifactStoreV1 } from '../../plugins/api/artifact-store.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';

export const JSONL_TYPE = 'application/jsonl';

/** Stores rows as one JSON value a line. */
export async function putJsonl(store: ArtifactStoreV1, rows: readonly unknown[]): Promise<ArtifactRef> {
  return await store.putBytes(
    Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join('')),
    JSONL_TYPE,
  );
}

/** Reads rows back. The rows were written by this product, so their shape is trusted. */
export async function readJsonl<T>(store: ArtifactStoreV1, ref: ArtifactRef): Promise<T[]> {
  const text = (await store.readBytes(ref)).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** One answered row. */
export interface Prediction {
  readonly id: string;
  readonly input: string;
  readonly reference: string;
  readonly prediction: string;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly finish: 'stop' | 'length';
  /** Ids of the passages in the prompt, best first; absent without retrieval. */
  readonly passages?: readonly string[];
}

/** What runs leave in blobs: who they are, what they used, and who is at work. */
import { z } from 'zod';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import type { RunIds, RunUse } from '../contracts/artifact-store.ts';
import { ownedName, ownerState } from '../owner.ts';
import { sha256OfBytes } from '../publish.ts';
import type { BlobsV1 } from './blobs.ts';

/** Name of a run among blobs: a digest of its ids. */
export function runName({ namespace, workflowId, firstRunId }: RunIds): string {
  return sha256OfBytes(JSON.stringify([namespace, workflowId, firstRunId]));
}

/** A JSON value as bytes. */
export const toBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** A blob's JSON through a schema; null when it is not there or torn. */
export async function readBlob<T>(blobs: BlobsV1, name: string, schema: z.ZodType<T>): Promise<T | null> {
  const bytes = await blobs.read(name);
  try {
    return bytes === null ? null : (schema.safeParse(JSON.parse(bytes.toString('utf8'))).data ?? null);
  } catch {
    return null;
  }
}

/** What an Activity of a run used. */
export const useSchema = z.strictObject({
  action: z.string().nullable(),
  references: z.array(artifactRefSchema),
});

/** Notes who a run is, for people and for whoever cleans. */
export async function noteRun(
  blobs: BlobsV1,
  { namespace, workflowId, firstRunId }: RunIds,
): Promise<string> {
  const run = runName({ namespace, workflowId, firstRunId });
  await blobs.write(`runs/${run}/run.json`, toBytes({ namespace, workflowId, firstRunId }));
  return run;
}

/** Notes what an Activity took and gave. */
export async function noteUse(blobs: BlobsV1, ids: RunIds, use: RunUse): Promise<void> {
  const run = await noteRun(blobs, ids);
  const name = `runs/${run}/uses/${sha256OfBytes(JSON.stringify(use.activity))}.json`;
  await blobs.write(name, toBytes({ action: use.action ?? null, references: use.references }));
}

const holdSchema = z.strictObject({ run: z.string(), sinceMs: z.number() });

/** A hold shows that it lives this often. */
const REFRESH_MS = 60_000;
/** One of another machine that has not shown so for this long belongs to nobody. */
const MAX_SILENCE_MS = 15 * REFRESH_MS;

/** Runs work under a hold. */
export async function withHold<T>(blobs: BlobsV1, run: string, work: () => Promise<T>): Promise<T> {
  const name = `holds/${ownedName('')}`;
  await blobs.write(name, toBytes({ run, sinceMs: Date.now() }));
  // One that cannot be refreshed now may be at the next time.
  const refresh = setInterval(() => void blobs.touch(name).catch(() => false), REFRESH_MS);
  refresh.unref();
  try {
    return await work();
  } finally {
    clearInterval(refresh);
    await blobs.remove(name);
  }
}

/** What is at work: the runs, and since when. */
export async function liveHolds(blobs: BlobsV1, nowMs: number) {
  const runs = new Set<string>();
  let sinceMs = Number.POSITIVE_INFINITY;
  for (const { name, usedMs } of await blobs.list('holds/')) {
    const state = await ownerState(name);
    if (state === 'dead' || (state === 'unknown' && nowMs - usedMs > MAX_SILENCE_MS)) continue;
    const hold = await readBlob(blobs, name, holdSchema);
    if (hold === null) continue;
    runs.add(hold.run);
    sinceMs = Math.min(sinceMs, hold.sinceMs);
  }
  return { runs, sinceMs };
}

/** Removes holds of processes of this machine that are dead. Returns how many. */
export async function sweepHolds(blobs: BlobsV1): Promise<number> {
  let removed = 0;
  for (const { name } of await blobs.list('holds/')) {
    if ((await ownerState(name)) !== 'dead') continue;
    await blobs.remove(name);
    removed += 1;
  }
  return removed;
}

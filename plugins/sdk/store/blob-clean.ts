/** Removes what no kept run needs: marks from runs, actions, checkpoints and reports, then removes what was not used for long enough. */
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { CleanOptions, CleanResult, Removed } from '../contracts/artifact-store.ts';
import { checkpointSchema, savedCheckpoints } from './blob-checkpoints.ts';
import { objectName } from './blob-objects.ts';
import { liveHolds, readBlob, runName, useSchema } from './blob-runs.ts';
import type { BlobInfo, BlobsV1 } from './blobs.ts';
import { FOLDER_TYPE } from './packed-folder.ts';
import { referencesIn } from './references.ts';
import { MIN_KEEP_MS } from './retention.ts';
import { parseAction } from './stored-action.ts';

/** Cleans while workers are at work. */
export async function cleanBlobs(blobs: BlobsV1, options: CleanOptions): Promise<CleanResult> {
  const holds = await liveHolds(blobs, options.nowMs);
  const ageMs = Math.max(MIN_KEEP_MS, options.olderThanMs);
  // Whoever is at work may need all it found since its start, however far the clock has jumped since.
  const limitMs = Math.min(options.nowMs - ageMs, holds.sinceMs);
  const remover = new Remover(blobs, limitMs, options.dryRun);
  const { kept, old } = await sortRuns(blobs, options, { busy: holds.runs, limitMs });
  const runs = await removeRuns(blobs, old, options.dryRun);

  const uses = [];
  for (const run of kept) {
    for (const { name } of await blobs.list(`runs/${run}/uses/`)) {
      const use = await readBlob(blobs, name, useSchema);
      if (use !== null) uses.push(use);
    }
  }
  const needed = new Set(uses.map(({ action }) => `actions/${action}.json`));
  const idle = (await blobs.list('actions/')).filter(({ name }) => !needed.has(name));
  const actions = await remover.remove(idle);

  const marks = new Marks(blobs);
  await marks.add([
    ...options.references,
    ...(options.openRuns ?? []).flatMap(({ references }) => references),
    ...uses.flatMap(({ references }) => references),
  ]);
  for (const { name } of await blobs.list('actions/')) {
    if (remover.removed.has(name)) continue;
    await marks.add(referencesIn(parseAction(String(await blobs.read(name)))?.output));
  }
  const gone = new Set(old);
  for (const { name, run } of await savedCheckpoints(blobs)) {
    const saved = gone.has(run) ? null : await readBlob(blobs, name, checkpointSchema);
    if (saved !== null) await marks.add([saved.folder]);
  }
  const objects = (await blobs.list('objects/')).filter(({ name }) => !marks.names.has(name));
  return {
    runs,
    actions,
    objects: await remover.remove(objects),
    folders: { count: 0, sizeBytes: 0 },
    keptRuns: kept.length,
  };
}

/** A run is kept when it is open, at work, among the newest ones, or was used lately. */
async function sortRuns(
  blobs: BlobsV1,
  { openRuns, keepRuns }: CleanOptions,
  { busy, limitMs }: { readonly busy: ReadonlySet<string>; readonly limitMs: number },
) {
  const open = new Set((openRuns ?? []).map(({ run }) => runName(run)));
  const usedMs = new Map<string, number>();
  for (const info of await blobs.list('runs/')) {
    const [, run = ''] = info.name.split('/');
    usedMs.set(run, Math.max(usedMs.get(run) ?? 0, info.usedMs));
  }
  const newest = [...usedMs].sort(([, a], [, b]) => b - a);
  const closed = newest.filter(([run]) => !open.has(run) && !busy.has(run));
  const old = closed.slice(keepRuns).filter(([, used]) => used < limitMs);
  const gone = new Set(old.map(([run]) => run));
  return { kept: [...usedMs.keys()].filter((run) => !gone.has(run)), old: [...gone] };
}

async function removeRuns(blobs: BlobsV1, runs: readonly string[], dryRun: boolean): Promise<Removed> {
  const checkpoints = await savedCheckpoints(blobs);
  let sizeBytes = 0;
  for (const run of runs) {
    const names = checkpoints.filter((one) => one.run === run).map(({ name }) => name);
    for (const info of await blobs.list(`runs/${run}/`)) {
      names.push(info.name);
      sizeBytes += info.sizeBytes;
    }
    if (!dryRun) for (const name of names) await blobs.remove(name);
  }
  return { count: runs.length, sizeBytes };
}

class Remover {
  readonly removed = new Set<string>();
  readonly #blobs: BlobsV1;
  readonly #limitMs: number;
  readonly #dryRun: boolean;

  constructor(blobs: BlobsV1, limitMs: number, dryRun: boolean) {
    this.#blobs = blobs;
    this.#limitMs = limitMs;
    this.#dryRun = dryRun;
  }

  /** Looked at again right before: a worker that found one meanwhile has marked it as used. */
  async remove(all: readonly BlobInfo[]): Promise<Removed> {
    let [count, sizeBytes] = [0, 0];
    for (const { name } of all) {
      const found = await this.#blobs.stat(name);
      if (found === null || found.usedMs >= this.#limitMs) continue;
      if (!this.#dryRun) await this.#blobs.remove(name);
      this.removed.add(name);
      count += 1;
      sizeBytes += found.sizeBytes;
    }
    return { count, sizeBytes };
  }
}

/** Names of the objects that something refers to, lists of folders and JSON artifacts followed. */
class Marks {
  readonly names = new Set<string>();
  readonly #blobs: BlobsV1;

  constructor(blobs: BlobsV1) {
    this.#blobs = blobs;
  }

  async add(references: readonly ArtifactRef[]): Promise<void> {
    const open = [...references];
    for (let ref = open.pop(); ref !== undefined; ref = open.pop()) {
      const name = objectName(ref.sha256);
      if (this.names.has(name)) continue;
      this.names.add(name);
      if (ref.mediaType === FOLDER_TYPE || ref.mediaType === 'application/json')
        open.push(...referencesIn(await this.#json(name)));
    }
  }

  async #json(name: string): Promise<unknown> {
    try {
      return JSON.parse(String(await this.#blobs.read(name)));
    } catch {
      return undefined;
    }
  }
}

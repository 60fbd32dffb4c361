/** Checkpoints as packed folders: `checkpoints/<action key>/<run>-<node>-<token>/<step>` names the folder of each. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import type { ArtifactObjectsV1, CheckpointsV1 } from '../contracts/artifact-store.ts';
import { isEscadaFailure } from '../contracts/failure.ts';
import { linkOrCopy } from '../publish.ts';
import { readBlob, toBytes } from './blob-runs.ts';
import type { BlobsV1 } from './blobs.ts';
import { filesIn } from './packed-folder.ts';

/** A saved checkpoint: which attempt of which step of which run wrote it. */
export interface SavedCheckpoint {
  readonly name: string;
  readonly run: string;
  readonly node: string;
  readonly token: number;
  readonly step: number;
}

/** The blob of a saved checkpoint. */
export const checkpointSchema = z.strictObject({ folder: artifactRefSchema });

const MANIFEST = 'manifest.json';
/** Newest checkpoints of an attempt that are kept: the newest one may turn out damaged. */
const KEPT = 2;

/** The saved checkpoints of an action; of all without a key. */
export async function savedCheckpoints(blobs: BlobsV1, key?: string): Promise<SavedCheckpoint[]> {
  const names = await blobs.list(key === undefined ? 'checkpoints/' : `checkpoints/${key}/`);
  return names.flatMap(({ name }) => {
    const [, run = '', node = '', token, step] =
      /\/([0-9a-f]{64})-([0-9a-f]{64})-(\d+)\/(\d+)$/.exec(name) ?? [];
    return step === undefined ? [] : [{ name, run, node, token: Number(token), step: Number(step) }];
  });
}

/** Where an attempt is, and what it works on. */
export interface AttemptPlace {
  readonly key: string;
  readonly run: string;
  readonly node: string;
  readonly token: number;
  readonly earlierTokens: readonly number[];
}

/** The checkpoints of one action, as one attempt of it sees them. */
export class BlobCheckpoints implements CheckpointsV1 {
  readonly folder: string;
  readonly #blobs: BlobsV1;
  readonly #objects: ArtifactObjectsV1;
  readonly #place: AttemptPlace;
  /** What was restored is saved already. */
  #newest = 0;

  constructor(blobs: BlobsV1, objects: ArtifactObjectsV1, place: AttemptPlace, attemptDir: string) {
    this.folder = join(attemptDir, 'out');
    this.#blobs = blobs;
    this.#objects = objects;
    this.#place = place;
  }

  async earlierSteps(): Promise<readonly number[]> {
    const { run, node, earlierTokens } = this.#place;
    const own = (await savedCheckpoints(this.#blobs)).filter((one) => one.run === run && one.node === node);
    return earlierTokens.map((token) =>
      Math.max(0, ...own.filter((one) => one.token === token).map(({ step }) => step)),
    );
  }

  async restore(): Promise<number> {
    const all = await savedCheckpoints(this.#blobs, this.#place.key);
    const others = all.filter((one) => !this.#isOwn(one) || one.token < this.#place.token);
    others.sort(
      (a, b) => b.step - a.step || Number(this.#isOwn(b)) - Number(this.#isOwn(a)) || b.token - a.token,
    );
    for (const furthest of others) {
      const same = others.filter((one) => attemptOf(one) === attemptOf(furthest));
      let restored = 0;
      for (const one of same) if (await this.#fetch(one)) restored += 1;
      if (restored > 0) return restored;
    }
    return 0;
  }

  #isOwn({ run, node }: SavedCheckpoint): boolean {
    return run === this.#place.run && node === this.#place.node;
  }

  /** False for one that is gone or damaged. Its manifest is written last. */
  async #fetch({ name, step }: SavedCheckpoint): Promise<boolean> {
    const saved = await readBlob(this.#blobs, name, checkpointSchema);
    if (saved === null) return false;
    const target = join(this.folder, `checkpoint-${step}`);
    try {
      const from = await this.#objects.localFolder(saved.folder);
      const files = (await filesIn(from)).filter((file) => file !== MANIFEST);
      for (const file of [...files, MANIFEST]) await linkOrCopy(join(from, file), join(target, file));
      this.#newest = Math.max(this.#newest, step);
      return true;
    } catch (error) {
      if (!isEscadaFailure(error) || !error.code.startsWith('ARTIFACT_')) throw error;
      await rm(target, { recursive: true, force: true });
      return false;
    }
  }

  async save(step: number): Promise<void> {
    if (step <= this.#newest) return;
    const { key, run, node, token } = this.#place;
    const from = join(this.folder, `checkpoint-${step}`);
    try {
      // All files were there after the manifest was: what a trainer removes meanwhile is not stored by halves.
      if (!(await filesIn(from)).includes(MANIFEST)) return;
      const folder = await this.#objects.putFolder(from);
      await this.#blobs.write(`checkpoints/${key}/${run}-${node}-${token}/${step}`, toBytes({ folder }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    this.#newest = step;
    const own = (await savedCheckpoints(this.#blobs, key)).filter(
      (one) => this.#isOwn(one) && one.token === token,
    );
    for (const old of own.sort((a, b) => b.step - a.step).slice(KEPT)) await this.#blobs.remove(old.name);
  }

  /** Removes what this attempt and earlier ones of its step saved. */
  async forget(): Promise<void> {
    for (const one of await savedCheckpoints(this.#blobs)) {
      if (this.#isOwn(one) && one.token <= this.#place.token) await this.#blobs.remove(one.name);
    }
  }
}

const attemptOf = ({ run, node, token }: SavedCheckpoint): string => `${run}-${node}-${token}`;

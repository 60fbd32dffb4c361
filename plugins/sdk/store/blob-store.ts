import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalJson } from '../canonical-json.ts';
import type {
  ArtifactStoreV1,
  CleanOptions,
  CleanResult,
  RunIds,
  RunUse,
  ScratchV1,
  StepPlace,
  StoredAction,
} from '../contracts/artifact-store.ts';
import { ownedName } from '../owner.ts';
import { sha256OfBytes } from '../publish.ts';
import { cleanBlobs } from './blob-clean.ts';
import { BlobObjects } from './blob-objects.ts';
import { noteUse, runName, sweepHolds, withHold } from './blob-runs.ts';
import { openBlobScratch } from './blob-scratch.ts';
import type { BlobsV1 } from './blobs.ts';
import { deadIn, removeOwn } from './leftovers.ts';
import { parseAction } from './stored-action.ts';

/** Beginning of the name of a process's folder for copies and scratch; the rest says which process. */
const LOCAL_PREFIX = 'escada-store-';

const actionName = (key: string): string => `actions/${key}.json`;

/**
 * An artifact store over named bytes: whoever can read, write and list a bucket has a store. Copies of artifacts and the
 * scratch of attempts are in a temporary folder of this process; checkpoints are stored as they are completed, so that
 * another host continues from them.
 */
export class BlobStore extends BlobObjects implements ArtifactStoreV1 {
  readonly specificationVersion = 'v1';

  constructor(blobs: BlobsV1, folder: string = join(tmpdir(), ownedName(LOCAL_PREFIX))) {
    super(blobs, folder);
  }

  get location(): string {
    return this.blobs.location;
  }

  get localRoots(): readonly string[] {
    return [this.folder];
  }

  async storeId(): Promise<string> {
    await this.blobs.write('id', randomBytes(16), { ifAbsent: true });
    const seed = (await this.blobs.read('id'))?.toString('hex') ?? '';
    return sha256OfBytes(`${seed}\n${this.blobs.location}`).slice(0, 12);
  }

  async getAction(key: string): Promise<StoredAction | null> {
    const bytes = await this.blobs.read(actionName(key));
    const action = parseAction(String(bytes));
    // Before its artifacts are looked at: whoever cleans looks at the mark right before it removes something.
    if (action !== null) await this.blobs.touch(actionName(key));
    return action;
  }

  async putAction({ kind, key, output, seconds }: StoredAction): Promise<void> {
    await this.blobs.write(actionName(key), Buffer.from(canonicalJson({ kind, key, output, seconds })));
  }

  async openScratch(place: StepPlace, key: string): Promise<ScratchV1> {
    const parts = { blobs: this.blobs, objects: this, folder: join(this.folder, 'scratch') };
    return await openBlobScratch(parts, place, key);
  }

  async noteUse(run: RunIds, use: RunUse): Promise<void> {
    await noteUse(this.blobs, run, use);
  }

  async withHold<T>(run: RunIds, work: () => Promise<T>): Promise<T> {
    return await withHold(this.blobs, runName(run), work);
  }

  async sweep(): Promise<number> {
    return (await sweepHolds(this.blobs)) + (await removeOwn(await deadIn(tmpdir(), LOCAL_PREFIX)));
  }

  async clean(options: CleanOptions): Promise<CleanResult> {
    return await cleanBlobs(this.blobs, options);
  }

  async usage(): Promise<number> {
    return (await this.blobs.list('')).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await this.blobs.close();
  }
}

import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../../plugins/sdk/canonical-json.ts';
import type {
  ArtifactStoreFactoryV1,
  ArtifactStoreV1,
  CleanOptions,
  CleanResult,
  RunIds,
  RunUse,
  ScratchV1,
  StepPlace,
  StoredAction,
} from '../../plugins/sdk/contracts/artifact-store.ts';
import { publishFile } from '../../plugins/sdk/publish.ts';
import { sizeOf } from '../../plugins/sdk/size-of.ts';
import { parseAction } from '../../plugins/sdk/store/stored-action.ts';
import { cleanStore } from './file-store/clean.ts';
import { withHold } from './file-store/holds.ts';
import { markUsed } from './file-store/last-use.ts';
import { FileObjects } from './file-store/objects.ts';
import { openRunFolder, runName } from './file-store/run-folder.ts';
import { openScratch } from './file-store/scratch.ts';
import { storeId } from './file-store/store-id.ts';
import { sweepStore } from './file-store/sweep.ts';
import { writeUse } from './file-store/uses.ts';

/**
 * The store on a local disk, or on one that hosts share: objects, `actions/` for finished actions, `runs/` for steps in
 * progress and what runs refer to, `checkpoints/` for which attempts belong to an action. What a method returned
 * survives a power failure.
 */
export class FileStore extends FileObjects implements ArtifactStoreV1 {
  readonly specificationVersion = 'v1';

  get location(): string {
    return this.root;
  }

  get localRoots(): readonly string[] {
    return [this.root];
  }

  async storeId(): Promise<string> {
    return await storeId(this.root);
  }

  async getAction(key: string): Promise<StoredAction | null> {
    const path = this.#actionPath(key);
    const action = parseAction(await readFile(path, 'utf8').catch(() => ''));
    // Before its artifacts are looked at: whoever cleans looks at the mark right before it removes something.
    if (action !== null) await markUsed(path);
    return action;
  }

  async putAction({ kind, key, output, seconds }: StoredAction): Promise<void> {
    await publishFile(this.#actionPath(key), canonicalJson({ kind, key, output, seconds }));
  }

  #actionPath(key: string): string {
    return join(this.root, 'actions', `${key}.json`);
  }

  async openScratch(place: StepPlace, key: string): Promise<ScratchV1> {
    return await openScratch(this.root, place, key);
  }

  async noteUse(run: RunIds, use: RunUse): Promise<void> {
    await writeUse(await openRunFolder(this.root, run), use);
  }

  async withHold<T>(run: RunIds, work: () => Promise<T>): Promise<T> {
    return await withHold(this.root, runName(run), work);
  }

  async sweep(): Promise<number> {
    return await sweepStore(this.root);
  }

  async clean(options: CleanOptions): Promise<CleanResult> {
    return await cleanStore(this, options);
  }

  async usage(): Promise<number> {
    return await sizeOf(this.root);
  }

  async close(): Promise<void> {
    // Nothing is open between two calls.
  }
}

const optionsSchema = z.strictObject({
  /** Folder of the store, relative to the home folder; default: `store`. */
  root: z.string().min(1).optional(),
});

/** The kind of store that is used where nothing else is chosen. */
export const fileStoreFactory: ArtifactStoreFactoryV1<z.infer<typeof optionsSchema>> = {
  specificationVersion: 'v1',
  id: 'file',
  optionsSchema,
  open: ({ root = 'store' }, { home }) => new FileStore(resolve(home, root)),
};

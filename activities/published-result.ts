import {
  actionKey,
  cachePath,
  readAction,
  writeAction,
  type FinishedAction,
} from '../core/store/action-cache.ts';
import type { FileStore } from '../core/store/file-store.ts';
import { noteReferences } from '../core/store/references.ts';
import { openRunFolder, resultPath, type StepPlace } from '../core/store/scratch.ts';
import type { StepKindV1 } from '../plugins/sdk/contracts/step-kind.ts';
import type { JsonObject } from '../schemas/common/json.ts';

/** The step whose result it is: its kind, its input, whatever else the result depends on, and who waits for it. */
export interface ResultOwner {
  readonly kind: StepKindV1;
  readonly input: JsonObject;
  readonly salt: string;
  readonly place: StepPlace;
  readonly runId: string;
}

/** The result of one step in the store: found before the step runs, published after it. */
export interface PublishedResult {
  find(): Promise<FinishedAction | null>;
  publish(finished: FinishedAction): Promise<void>;
}

/**
 * A result of a cacheable kind counts for every run. That of any other kind counts for later attempts of the same step of
 * the same run: the reply of the attempt that made it may have been lost, and what it did must not happen again.
 */
export function publishedResult(store: FileStore, owner: ResultOwner): PublishedResult {
  const { kind, input, salt, place, runId } = owner;
  const key = actionKey(kind.kind, input, salt);
  const identity = { kind: kind.kind, key, outputSchema: kind.outputSchema };
  const path = kind.cacheable ? cachePath(store, key) : resultPath(store.root, place, key);
  // What a run refers to is kept for as long as the run is.
  const note = async (output: JsonObject): Promise<void> => {
    const folder = await openRunFolder(store.root, place);
    const action = kind.cacheable ? { action: key } : {};
    await noteReferences(folder, [runId, place.nodeId], { ...action, values: [input, output] });
  };
  return {
    find: async () => {
      const found = await readAction(store, path, identity);
      if (found !== null) await note(found.output);
      return found;
    },
    publish: async (finished) => {
      await writeAction(path, identity, finished);
      await note(finished.output);
    },
  };
}

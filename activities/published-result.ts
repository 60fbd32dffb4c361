import { actionKey, readAction, type FinishedAction } from '../core/store/action-cache.ts';
import type { ArtifactStoreV1, StepPlace } from '../plugins/sdk/contracts/artifact-store.ts';
import type { StepKindV1 } from '../plugins/sdk/contracts/step-kind.ts';
import { uniqueReferences } from '../plugins/sdk/store/references.ts';
import type { JsonObject } from '../schemas/common/json.ts';

/** The step whose result it is: its kind, its input, whatever else the result depends on, and who waits for it. */
export interface ResultOwner {
  readonly kind: StepKindV1;
  readonly input: JsonObject;
  readonly salt: string;
  /** Versions of the plugins whose code the step runs. */
  readonly plugins: Readonly<Record<string, string>>;
  readonly place: StepPlace;
  readonly runId: string;
}

/** The result of one step in the store: found before the step runs, published after it. */
export interface PublishedResult {
  /** Key of the step's action. */
  readonly key: string;
  find(): Promise<FinishedAction | null>;
  publish(finished: FinishedAction): Promise<void>;
}

/**
 * A result of a cacheable kind counts for every run. That of any other kind counts for later attempts of the same step of
 * the same run: the reply of the attempt that made it may have been lost, and what it did must not happen again.
 */
export function publishedResult(store: ArtifactStoreV1, owner: ResultOwner): PublishedResult {
  const { kind, input, salt, plugins, place, runId } = owner;
  const ownSalt = kind.cacheable ? salt : JSON.stringify([salt, place]);
  const key = actionKey({ kind: kind.kind, input, plugins, salt: ownSalt });
  const identity = { kind: kind.kind, key, outputSchema: kind.outputSchema };
  // What a run refers to is kept for as long as the run is.
  const note = async (output: JsonObject): Promise<void> => {
    const references = uniqueReferences([input, output]);
    await store.noteUse(place, { activity: [runId, place.nodeId], action: key, references });
  };
  return {
    key,
    find: async () => {
      const found = await readAction(store, identity);
      if (found !== null) await note(found.output);
      return found;
    },
    publish: async (finished) => {
      await store.putAction({ kind: kind.kind, key, ...finished });
      await note(finished.output);
    },
  };
}

import type { StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import type { Registry } from '../plugins/host/registry.ts';
import type { ArtifactStoreV1 } from '../plugins/sdk/contracts/artifact-store.ts';
import { resolveDataPath } from '../core/data-roots.ts';

/** What steps may ask for, from the registry, the store and the folders that users' files may lie in. */
export function createServices(deps: {
  readonly registry: Registry;
  readonly store: ArtifactStoreV1;
  readonly dataRoots: readonly string[];
}): StepServices {
  const { registry } = deps;
  return {
    store: deps.store,
    languageModel: (model) => registry.languageModel(model),
    trainer: (id) => registry.trainers.get(id),
    metric: (choice) => registry.metric(choice),
    retriever: (id) => registry.retrievers.get(id),
    resolveDataPath: (path) =>
      resolveDataPath(path, { roots: deps.dataRoots, closed: deps.store.localRoots }),
  };
}

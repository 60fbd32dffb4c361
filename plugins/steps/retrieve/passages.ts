import type { RetrieverHit, StoredIndexV1 } from '../../sdk/contracts/retriever.ts';
import type { StepServices } from '../../sdk/contracts/step-kind.ts';
import type { Retrieval } from '../../../schemas/outcome/recipe.ts';
import type { DataRow } from '../../sdk/dataset/read-rows.ts';
import { searchOthers } from './search-others.ts';

export interface Passage {
  readonly id: string;
  readonly text: string;
}

export interface Passages {
  /** The passages for a row, best first; never one that was made from the row itself. */
  find(row: DataRow): Promise<readonly Passage[]>;
  close(): Promise<void>;
}

/** A passage made from an example ends with its answer. */
function holdsAnswer(index: StoredIndexV1, { output }: DataRow): (hit: RetrieverHit) => Promise<boolean> {
  return async ({ id }) => (await index.doTexts([id]))[0]?.endsWith(`\n${output}`) === true;
}

/** Opens the index that a recipe names; a recipe without retrieval finds nothing. */
export async function openPassages(
  retrieval: Retrieval | null,
  services: Pick<StepServices, 'retriever' | 'store'> & { readonly signal: AbortSignal },
): Promise<Passages> {
  if (retrieval === null) return { find: async () => [], close: async () => undefined };
  const path = await services.store.localPath(retrieval.index);
  const index = await services.retriever(retrieval.retriever).doOpen(path, { signal: services.signal });
  return {
    find: async (row) => {
      const ids = (await searchOthers(index, row, retrieval.topK, holdsAnswer(index, row))).map(
        ({ id }) => id,
      );
      const texts = ids.length === 0 ? [] : await index.doTexts(ids);
      return ids.map((id, at) => ({ id, text: texts[at] ?? '' }));
    },
    close: async () => await index.close(),
  };
}

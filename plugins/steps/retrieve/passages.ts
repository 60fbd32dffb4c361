import type { StepServices } from '../../sdk/contracts/step-kind.ts';
import type { retrievalRecipeSchema } from '../../../schemas/outcome/recipe.ts';
import type { z } from 'zod';

export interface Passage {
  readonly id: string;
  readonly text: string;
}

export interface Passages {
  /** The passages for a question, best first. */
  find(question: string): Promise<readonly Passage[]>;
  close(): Promise<void>;
}

/** Opens the index that a recipe names; a recipe without retrieval finds nothing. */
export async function openPassages(
  recipe: z.infer<typeof retrievalRecipeSchema> | undefined,
  services: Pick<StepServices, 'retriever' | 'store'> & { readonly signal: AbortSignal },
): Promise<Passages> {
  if (recipe === undefined) return { find: async () => [], close: async () => undefined };
  const path = await services.store.localPath(recipe.index);
  const index = await services.retriever(recipe.retriever).doOpen(path, { signal: services.signal });
  return {
    find: async (question) => {
      const ids = (await index.doSearch(question, recipe.topK)).map(({ id }) => id);
      const texts = ids.length === 0 ? [] : await index.doTexts(ids);
      return ids.map((id, at) => ({ id, text: texts[at] ?? '' }));
    },
    close: async () => await index.close(),
  };
}

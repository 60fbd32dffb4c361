import type { StepServices } from '../../plugins/api/step-kind.ts';
import type { retrievalRecipeSchema } from '../../schemas/adapt/recipe.ts';
import type { z } from 'zod';

export interface Passage {
  readonly id: string;
  readonly text: string;
}

export interface Passages {
  /** The passages for a question, best first. */
  find(question: string): readonly Passage[];
  close(): void;
}

/** Opens the index that a recipe names; a recipe without retrieval finds nothing. */
export async function openPassages(
  recipe: z.infer<typeof retrievalRecipeSchema> | undefined,
  services: Pick<StepServices, 'retriever' | 'store'>,
): Promise<Passages> {
  if (recipe === undefined) return { find: () => [], close: () => undefined };
  const path = await services.store.localPath(recipe.index);
  const index = services.retriever(recipe.retriever).doOpen(path);
  return {
    find: (question) =>
      index.doSearch(question, recipe.topK).map(({ id }) => ({ id, text: index.doText(id) })),
    close: () => index.close(),
  };
}

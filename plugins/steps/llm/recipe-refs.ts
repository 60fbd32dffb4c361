import type { ComponentRefs } from '../../sdk/contracts/component-refs.ts';

/** Fields of a step's `recipe` that name what a plugin brings. */
export const RECIPE_REFS: ComponentRefs = {
  'recipe.demonstrations.retriever': 'retrievers',
  'recipe.retrieval.retriever': 'retrievers',
};

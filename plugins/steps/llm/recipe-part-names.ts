import type { PartNames } from '../../sdk/contracts/part-names.ts';

/** Fields of a step's `recipe` that name what a plugin brings. */
export const RECIPE_NAMES: PartNames = {
  'recipe.demonstrations.retriever': 'retrievers',
  'recipe.retrieval.retriever': 'retrievers',
};

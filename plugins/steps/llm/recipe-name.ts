import type { Recipe } from '../../../schemas/outcome/recipe.ts';

/** What distinguishes recipes of one rung: `3-nearest`, `top-2`; empty for instructions alone. */
export function recipeName({
  demonstrations,
  retrieval,
}: Pick<Recipe, 'demonstrations' | 'retrieval'>): string {
  const examples = demonstrations === null ? [] : [`${demonstrations.shots}-${demonstrations.selection}`];
  const passages = retrieval === null ? [] : [`top-${retrieval.topK}`];
  return [...examples, ...passages].join('-');
}

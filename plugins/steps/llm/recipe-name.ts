import type { PromptRecipe } from '../../../schemas/outcome/candidate.ts';

/** What tells recipes of one rung apart: `3-similar`, `top-2`; empty for instructions alone. */
export function recipeName({
  shots,
  choose,
  retrieval,
}: Pick<PromptRecipe, 'shots' | 'choose' | 'retrieval'>): string {
  const examples = shots === 0 ? [] : [`${shots}-${choose}`];
  const passages = retrieval === undefined ? [] : [`top-${retrieval.topK}`];
  return [...examples, ...passages].join('-');
}

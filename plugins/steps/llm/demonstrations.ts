import { createHash } from 'node:crypto';
import type { RetrieverV1, RetrieverWork } from '../../sdk/contracts/retriever.ts';
import type { PromptRecipe } from '../../../schemas/outcome/candidate.ts';
import type { DataRow } from '../data/read-rows.ts';

export type ChooseShots = (row: DataRow) => Promise<readonly DataRow[]>;

/** Rows in a seeded order that does not depend on the order they are given in. */
function seededOrder(rows: readonly DataRow[], seed: number): DataRow[] {
  const key = (row: DataRow) => createHash('sha256').update(`${seed}\n${row.id}`).digest('hex');
  return rows
    .map((row) => ({ row, key: key(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => row);
}

/**
 * How a recipe chooses demonstrations among training rows. `fixed` shows everybody the same seeded rows (the prefix is
 * then computed once); `similar` looks up the rows nearest to the input, the nearest one last, next to the question.
 */
export async function shotChooser(
  recipe: PromptRecipe,
  train: readonly DataRow[],
  options: { readonly seed: number; readonly retriever: RetrieverV1; readonly work: RetrieverWork },
): Promise<{ readonly choose: ChooseShots; readonly close: () => Promise<void> }> {
  const close = async (): Promise<void> => undefined;
  if (recipe.shots === 0 || recipe.choose === 'none') return { choose: async () => [], close };
  if (recipe.choose === 'fixed') {
    const shots = seededOrder(train, options.seed).slice(0, recipe.shots);
    return { choose: async () => shots, close };
  }
  const byId = new Map(train.map((row) => [row.id, row]));
  const documents = train.map((row) => ({ id: row.id, text: row.input }));
  const index = await options.retriever.doIndex(documents, options.work);
  return {
    choose: async (row) =>
      (await index.doSearch(row.input, recipe.shots)).flatMap(({ id }) => byId.get(id) ?? []).reverse(),
    close: async () => await index.close(),
  };
}

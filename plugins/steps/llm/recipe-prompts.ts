import type { Message } from '../../sdk/contracts/language-model.ts';
import type { StepContext } from '../../sdk/contracts/step-kind.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { PromptRecipe } from '../../../schemas/outcome/candidate.ts';
import { readRows, type DataRow } from '../data/read-rows.ts';
import { openPassages, type Passage } from '../retrieve/passages.ts';
import { buildMessages } from '../../sdk/prompts.ts';
import { shotChooser } from './demonstrations.ts';

/** A row with its prompt and the passages that stand in it. */
export interface RowPrompt {
  readonly row: DataRow;
  readonly messages: readonly Message[];
  readonly found: readonly Passage[];
}

/** The prompts that a recipe makes of the rows of a split, in their order. */
export async function recipePrompts(
  input: {
    readonly recipe: PromptRecipe;
    readonly rows: ArtifactRef;
    readonly train: ArtifactRef;
    readonly seed: number;
  },
  context: StepContext,
): Promise<RowPrompt[]> {
  const { store, signal } = context;
  const { recipe, seed } = input;
  const rows = await readRows(await store.localPath(input.rows));
  const train = recipe.shots > 0 ? await readRows(await store.localPath(input.train)) : [];
  const retriever = context.retriever('lexical');
  const shots = await shotChooser(recipe, train, { seed, retriever, work: { signal } });
  const passages = await openPassages(recipe.retrieval, context).catch(async (error: unknown) => {
    await shots.close();
    throw error;
  });
  try {
    const { system, instruction } = recipe;
    const prompts: RowPrompt[] = [];
    for (const row of rows) {
      const found = await passages.find(row.input);
      const texts = found.map(({ text }) => text);
      const told = { system, instruction, shots: await shots.choose(row), passages: texts, input: row.input };
      prompts.push({ row, found, messages: buildMessages(told) });
    }
    return prompts;
  } finally {
    await passages.close();
    await shots.close();
  }
}

import type { Message } from '../../sdk/contracts/language-model.ts';
import type { StepServices } from '../../sdk/contracts/step-kind.ts';
import type { Recipe } from '../../../schemas/outcome/recipe.ts';
import type { DataRow } from '../../sdk/dataset/read-rows.ts';
import { openPassages, type Passage } from '../retrieve/passages.ts';
import { buildMessages } from '../../sdk/prompts.ts';
import { openDemonstrations } from './demonstrations.ts';

/** A row with its prompt and the passages that it contains. */
export interface RowPrompt {
  readonly row: DataRow;
  readonly messages: readonly Message[];
  readonly found: readonly Passage[];
}

/**
 * The prompts that a recipe makes of rows, in their order: answering, training, loss, counting and the check of an export
 * all ask here, so that a candidate is trained on what it is asked later. A row that is itself among the demonstrations or
 * the indexed examples is left out of its own prompt.
 */
export async function recipePrompts(
  recipe: Recipe,
  rows: readonly DataRow[],
  services: Pick<StepServices, 'retriever' | 'store'> & { readonly signal: AbortSignal },
): Promise<RowPrompt[]> {
  const demonstrations = await openDemonstrations(recipe.demonstrations, services);
  const passages = await openPassages(recipe.retrieval, services).catch(async (error: unknown) => {
    await demonstrations.close();
    throw error;
  });
  try {
    const { system, instruction } = recipe;
    const prompts: RowPrompt[] = [];
    for (const row of rows) {
      services.signal.throwIfAborted();
      const found = await passages.find(row);
      const shots = await demonstrations.select(row);
      const texts = found.map(({ text }) => text);
      const parts = { system, instruction, shots, passages: texts, input: row.input };
      prompts.push({ row, found, messages: buildMessages(parts) });
    }
    return prompts;
  } finally {
    await passages.close();
    await demonstrations.close();
  }
}

import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { LanguageModelV1 } from '../../sdk/contracts/language-model.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { maxNewTokensSchema } from '../../../schemas/common/limits.ts';
import { skippedRecipeSchema } from '../../../schemas/outcome/candidate.ts';
import { recipeSchema, type Recipe } from '../../../schemas/outcome/recipe.ts';
import { capabilitiesOf, countTokens } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { readRows, type DataRow } from '../../sdk/dataset/read-rows.ts';
import { recipePrompts } from './recipe-prompts.ts';
import { recipeName } from './recipe-name.ts';

const withSchema = z.strictObject({
  model: modelRefSchema,
  recipes: z.array(recipeSchema).min(1).max(64),
  rows: artifactRefSchema,
  maxNewTokens: maxNewTokensSchema,
});

const outputSchema = z.strictObject({
  /** Those whose prompts fit, in the order they were given in. */
  recipes: z.array(recipeSchema).min(1),
  fitting: z.int().min(1),
  skipped: z.array(skippedRecipeSchema),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** Rows counted in one call. */
const CHUNK_ROWS = 256;

async function run(input: With, context: StepContext): Promise<Output> {
  const model = context.languageModel(input.model);
  const contextTokens = (await model.doDescribe?.(context.signal))?.contextTokens;
  // What cannot be counted, or has no known limit, is found out by asking.
  if (contextTokens === undefined || !capabilitiesOf(model).countTokens)
    return { recipes: input.recipes, fitting: input.recipes.length, skipped: [] };
  const rows = await readRows(await context.store.localPath(input.rows));
  const recipes: Output['recipes'] = [];
  const skipped: Output['skipped'] = [];
  for (const recipe of input.recipes) {
    const longest = await longestPrompt(model, recipe, rows, context);
    if (longest + input.maxNewTokens <= contextTokens) recipes.push(recipe);
    else
      skipped.push({
        name: recipeName(recipe),
        reason: reasonFor(longest, input.maxNewTokens, contextTokens),
      });
  }
  if (recipes.length > 0) return { recipes, fitting: recipes.length, skipped };
  const each = skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  throw new EscadaFailure({
    code: 'PROMPT_TOO_LONG',
    message: `No prompt of this rung fits the context of ${input.model.id}. ${each}.`,
    fields: { contextTokens, skipped: skipped.map((one) => ({ ...one })) },
  });
}

const reasonFor = (longest: number, answer: number, context: number): string =>
  `its longest prompt has ${longest} tokens and its answer may have ${answer}; the context holds ${context}`;

async function longestPrompt(
  model: LanguageModelV1,
  recipe: Recipe,
  rows: readonly DataRow[],
  context: StepContext,
): Promise<number> {
  const prompts = await recipePrompts(recipe, rows, context);
  let longest = 0;
  for (let start = 0; start < prompts.length; start += CHUNK_ROWS) {
    const chunk = prompts.slice(start, start + CHUNK_ROWS);
    const asked = chunk.map(({ row, messages }) => ({ id: row.id, messages }));
    const counts = await countTokens(model, { rows: asked, signal: context.signal });
    longest = Math.max(longest, ...counts.map(({ promptTokens }) => promptTokens));
    context.heartbeat({ kind: 'count', done: start + chunk.length, total: prompts.length });
  }
  return longest;
}

/** Leaves out the recipes whose prompts, with room for an answer, are longer than the model's context. */
export const fittingRecipes: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'select.fitting@1',
  title: 'Leave out prompts that do not fit',
  ...MODEL_STEP,
  cacheable: true,
  startToCloseTimeoutMs: 3_600_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema,
  names: {
    model: 'models',
    'recipes.demonstrations.retriever': 'retrievers',
    'recipes.retrieval.retriever': 'retrievers',
  },
  summarize: () => 'leave out prompts that do not fit the context',
  doCacheSalt: modelSalt,
  doRun: run,
};

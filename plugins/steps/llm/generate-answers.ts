import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import type { ModelAnswer } from '../../sdk/contracts/language-model.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { maxNewTokensSchema, seedSchema } from '../../../schemas/common/limits.ts';
import { recipeSchema, type Demonstrations } from '../../../schemas/outcome/recipe.ts';
import { usageSchema } from '../../../schemas/outcome/usage.ts';
import { putJsonl, type Prediction } from '../../sdk/jsonl.ts';
import { readRows } from '../../sdk/dataset/read-rows.ts';
import { generate, usageOf } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { recipePrompts, type RowPrompt } from './recipe-prompts.ts';
import { RECIPE_REFS } from './recipe-refs.ts';

const withSchema = z.strictObject({
  model: modelRefSchema,
  recipe: recipeSchema,
  /** Adapter folder artifact; null for the bare model. */
  adapter: artifactRefSchema.nullable(),
  rows: artifactRefSchema,
  maxNewTokens: maxNewTokensSchema,
  seed: seedSchema,
});

const outputSchema = z.strictObject({ predictions: artifactRefSchema, usage: usageSchema });

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

async function run(input: With, context: StepContext): Promise<Output> {
  const { store } = context;
  const rows = await readRows(await store.localPath(input.rows));
  const prompts = await recipePrompts(input.recipe, rows, context);
  const result = await generate(context.languageModel(input.model), {
    rows: prompts.map(({ row, messages }) => ({ id: row.id, messages })),
    ...(input.adapter === null ? {} : { adapterPath: await store.localFolder(input.adapter) }),
    maxTokens: input.maxNewTokens,
    seed: input.seed,
    signal: context.signal,
    onProgress: (progress) => context.heartbeat({ kind: 'generate', ...progress }),
  });
  const answers = new Map(result.answers.map((answer) => [answer.id, answer]));
  const predictions = prompts.flatMap((prompt) => {
    const answer = answers.get(prompt.row.id);
    return answer === undefined ? [] : [predictionOf(prompt, answer)];
  });
  return { predictions: await putJsonl(store, predictions), usage: usageOf(result) };
}

function predictionOf({ row, found }: RowPrompt, { text, finish, usage }: ModelAnswer): Prediction {
  const { promptTokens, completionTokens } = usage;
  const { id, input, output: reference } = row;
  const columns = { id, input, reference, prediction: text.trim(), promptTokens, completionTokens, finish };
  return found.length === 0 ? columns : { ...columns, passages: found.map((passage) => passage.id) };
}

/** Answers every row of a split with one recipe. */
export const generateAnswers: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'generate.answers@1',
  title: 'Answer rows',
  ...MODEL_STEP,
  cacheable: true,
  startToCloseTimeoutMs: 6 * 3_600_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema,
  names: { model: 'models', ...RECIPE_REFS },
  summarize: (input) => {
    const recipe = input['recipe'] as { demonstrations?: Partial<Demonstrations> | null } | string;
    const shown = typeof recipe === 'object' ? recipe.demonstrations : null;
    if (shown?.shots === undefined) return 'answer rows';
    return `answer rows with ${shown.shots} ${shown.selection} demonstrations`;
  },
  doCacheSalt: modelSalt,
  doRun: run,
};

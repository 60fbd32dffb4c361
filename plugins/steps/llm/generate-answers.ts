import { z } from 'zod';
import type { StepContext, StepKindV1, StepServices } from '../../sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { maxNewTokensSchema, seedSchema } from '../../../schemas/common/limits.ts';
import { modelSchema, recipeSchema, type Demonstrations } from '../../../schemas/outcome/recipe.ts';
import { usageSchema } from '../../../schemas/outcome/usage.ts';
import { putJsonl, type Prediction } from '../../sdk/jsonl.ts';
import { readRows } from '../data/read-rows.ts';
import { recipePrompts } from './recipe-prompts.ts';
import { RECIPE_NAMES } from './recipe-part-names.ts';

const withSchema = z.strictObject({
  model: modelSchema,
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

/** What answers depend on beyond the step's options: the weights, the engine and the instruction set. */
export async function modelSalt(
  input: { readonly model: With['model'] },
  services: StepServices,
  signal: AbortSignal,
): Promise<string> {
  const model = await services.languageModel(input.model.provider, input.model).doDescribe(signal);
  return [model.modelDigest, model.weightFormat, model.engineBuild, model.isaClass].join(' ');
}

async function run(input: With, context: StepContext): Promise<Output> {
  const { store } = context;
  const rows = await readRows(await store.localPath(input.rows));
  const prompts = await recipePrompts(input.recipe, rows, context);
  const result = await context.languageModel(input.model.provider, input.model).doGenerate({
    rows: prompts.map(({ row, messages }) => ({ id: row.id, messages })),
    ...(input.adapter === null ? {} : { adapterPath: await store.localFolder(input.adapter) }),
    maxNewTokens: input.maxNewTokens,
    temperature: 0,
    topP: 1,
    seed: input.seed,
    stop: [],
    signal: context.signal,
    onProgress: (progress) => context.heartbeat({ kind: 'generate', ...progress }),
  });
  const predictions = result.answers.map((answer, index): Prediction => {
    const { row, found } = prompts[index] ?? { row: undefined, found: [] };
    return {
      ...answer,
      prediction: answer.text.trim(),
      input: row?.input ?? '',
      reference: row?.output ?? '',
      ...(found.length === 0 ? {} : { passages: found.map(({ id }) => id) }),
    };
  });
  const { promptTokens, completionTokens, seconds } = result;
  return {
    predictions: await putJsonl(store, predictions.map(onlyColumns)),
    usage: {
      ...{ promptTokens, completionTokens, trainingTokens: 0, seconds },
      peakMemoryBytes: result.peakMemoryBytes ?? null,
    },
  };
}

function onlyColumns(row: Prediction): Prediction {
  const { id, input, reference, prediction, promptTokens, completionTokens, finish, passages } = row;
  const columns = { id, input, reference, prediction, promptTokens, completionTokens, finish };
  return passages === undefined ? columns : { ...columns, passages };
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
  names: { 'model.provider': 'providers', ...RECIPE_NAMES },
  summarize: (input) => {
    const recipe = input['recipe'] as { demonstrations?: Partial<Demonstrations> | null } | string;
    const shown = typeof recipe === 'object' ? recipe.demonstrations : null;
    if (shown?.shots === undefined) return 'answer rows';
    return `answer rows with ${shown.shots} ${shown.selection} demonstrations`;
  },
  doCacheSalt: modelSalt,
  doRun: run,
};

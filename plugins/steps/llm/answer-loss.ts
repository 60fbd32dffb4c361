import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { recipeSchema } from '../../../schemas/outcome/recipe.ts';
import { usageSchema } from '../../../schemas/outcome/usage.ts';
import { readRows } from '../../sdk/dataset/read-rows.ts';
import { score, usageOf } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { RECIPE_REFS } from './recipe-refs.ts';
import { recipePrompts } from './recipe-prompts.ts';

const withSchema = z.strictObject({
  model: modelRefSchema,
  recipe: recipeSchema,
  adapter: artifactRefSchema.nullable(),
  rows: artifactRefSchema,
});

const outputSchema = z.strictObject({
  /** Mean negative log-likelihood of the reference answers, nats per token. */
  lossNats: z.number(),
  usage: usageSchema,
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

async function run(input: With, context: StepContext): Promise<Output> {
  const rows = await readRows(await context.store.localPath(input.rows));
  const prompts = await recipePrompts(input.recipe, rows, context);
  const result = await score(context.languageModel(input.model), {
    rows: prompts.map(({ row, messages }) => ({ id: row.id, messages, continuations: [row.output] })),
    ...(input.adapter === null ? {} : { adapterPath: await context.store.localFolder(input.adapter) }),
    signal: context.signal,
  });
  const all = result.scores.flatMap(({ continuations }) => continuations);
  const tokens = all.reduce((sum, one) => sum + one.tokens, 0);
  const logProbNats = all.reduce((sum, one) => sum + one.logProbNats, 0);
  return { lossNats: -logProbNats / tokens, usage: usageOf(result, { promptTokens: tokens }) };
}

/** Scores reference answers without generating: cheap enough to choose hyper-parameters by. */
export const answerLoss: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'score.answer-loss@1',
  title: 'Loss of the reference answers',
  ...MODEL_STEP,
  cacheable: true,
  startToCloseTimeoutMs: 3_600_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema,
  names: { model: 'models', ...RECIPE_REFS },
  modelCapabilities: ['score'],
  summarize: () => 'loss of the reference answers',
  doCacheSalt: modelSalt,
  doRun: run,
};

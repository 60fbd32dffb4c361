import { z } from 'zod';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { bareRecipeSchema, modelSchema } from '../../../schemas/outcome/recipe.ts';
import { buildMessages } from '../../sdk/prompts.ts';
import { readRows } from '../data/read-rows.ts';
import { modelSalt } from './generate-answers.ts';

const withSchema = z.strictObject({
  model: modelSchema,
  recipe: bareRecipeSchema,
  adapter: artifactRefSchema.nullable(),
  rows: artifactRefSchema,
});

const outputSchema = z.strictObject({
  /** Mean negative log-likelihood of the reference answers, nats per token. */
  lossNats: z.number(),
  tokens: z.int(),
  seconds: z.number(),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

async function run(input: With, context: StepContext): Promise<Output> {
  const rows = await readRows(await context.store.localPath(input.rows));
  const { system, instruction } = input.recipe;
  const result = await context.languageModel(input.model.provider, input.model).doScore({
    rows: rows.map((row) => ({
      id: row.id,
      messages: buildMessages({ system, instruction, shots: [], input: row.input }),
      continuations: [row.output],
    })),
    ...(input.adapter === null ? {} : { adapterPath: await context.store.localFolder(input.adapter) }),
    signal: context.signal,
  });
  const all = result.scores.flat();
  const tokens = all.reduce((sum, score) => sum + score.tokens, 0);
  const logProbNats = all.reduce((sum, score) => sum + score.logProbNats, 0);
  return { lossNats: -logProbNats / tokens, tokens, seconds: result.seconds };
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
  names: { 'model.provider': 'providers' },
  summarize: () => 'loss of the reference answers',
  doCacheSalt: modelSalt,
  doRun: run,
};

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EscadaFailure } from '../../plugins/api/failure.ts';
import type { StepContext, StepKindV1, StepServices } from '../../plugins/api/step-kind.ts';
import type { TrainedModel } from '../../plugins/api/trainer.ts';
import { artifactRefSchema } from '../../schemas/common/artifact-ref.ts';
import { bareRecipeSchema, modelSchema } from '../../schemas/adapt/recipe.ts';
import { loraConfigSchema } from '../../schemas/train/lora-config.ts';
import { buildMessages } from '../shared/prompts.ts';
import { readRows } from '../data/read-rows.ts';
import { modelSalt } from '../llm/generate-answers.ts';
import { adoptCheckpoints, requireProgress } from './checkpoints.ts';

const withSchema = z.strictObject({
  trainer: z.string().min(1),
  model: modelSchema,
  recipe: bareRecipeSchema,
  rows: artifactRefSchema,
  /** Only the first so many rows; null for all. */
  rowsLimit: z.int().min(1).nullable().default(null),
  config: loraConfigSchema,
});

const outputSchema = z.strictObject({
  adapter: artifactRefSchema,
  adapterSha256: z.string(),
  /** Settings and loss curve (JSON). */
  training: artifactRefSchema,
  rows: z.int(),
  steps: z.int(),
  /** Labelled tokens trained on, over all steps. */
  tokens: z.int(),
  lossFirstNats: z.number(),
  lossLastNats: z.number(),
  seconds: z.number(),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** The base, as its provider finds it. Throws `INVALID_SPEC` when the provider has no weights to hand out. */
async function trainedModel(
  { model: { provider, ...choice } }: Pick<With, 'model'>,
  services: StepServices,
  signal: AbortSignal,
): Promise<TrainedModel> {
  const model = services.languageModel(provider, choice);
  if (model.doLocate === undefined) {
    const message = `model.provider: the models of "${provider}" have no weights on this machine, so nothing can be trained on them. Use a provider that has.`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message, fields: { provider, model: choice.id } });
  }
  const { modelDigest } = await model.doDescribe(signal);
  return { provider, ...choice, path: await model.doLocate(), digest: modelDigest };
}

/** An adapter depends on what trains it, as well as on the weights and on the engine that counts their tokens. */
async function salt(input: With, services: StepServices, signal: AbortSignal): Promise<string> {
  const model = await trainedModel(input, services, signal);
  const { build } = await services.trainer(input.trainer).doDescribe(model, signal);
  return `${await modelSalt(input, services, signal)} ${build}`;
}

async function run(input: With, context: StepContext): Promise<Output> {
  const { store } = context;
  const rows = await readRows(
    await store.localPath(input.rows),
    input.rowsLimit === null ? {} : { limit: input.rowsLimit },
  );
  const outDir = join(context.scratchDir, 'out');
  await mkdir(outDir);
  await requireProgress(context.earlierScratchDirs);
  await adoptCheckpoints(context.earlierScratchDirs, outDir);
  const { system, instruction } = input.recipe;
  const trainer = context.trainer(input.trainer);
  const model = await trainedModel(input, context, context.signal);
  const result = await trainer.doTrain({
    model,
    rows: rows.map((row) => ({
      id: row.id,
      messages: buildMessages({ system, instruction, shots: [], input: row.input }),
      answer: row.output,
    })),
    config: input.config,
    outDir,
    signal: context.signal,
    onProgress: (progress) => context.heartbeat({ kind: 'train', provider: model.provider, ...progress }),
  });
  // No times in here: where a trainer resumes exactly, the artifact of a resumed run equals the one of an undisturbed run.
  const by = { id: trainer.id, ...result.by };
  const training = { trainer: by, config: input.config, rows: rows.length, losses: result.losses };
  return {
    adapter: await store.putFolder(result.adapterPath),
    adapterSha256: result.adapterSha256,
    training: await store.putJson(training),
    rows: rows.length,
    steps: result.steps,
    tokens: result.labelledTokens,
    lossFirstNats: result.lossFirstNats,
    lossLastNats: result.lossLastNats,
    seconds: result.seconds,
  };
}

/** Trains a LoRA adapter; an attempt goes on from the newest complete checkpoint of the attempts before it. */
export const trainAdapter: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'train.adapter@1',
  title: 'Train an adapter',
  resource: 'gpu',
  retry: 'resumable',
  cacheable: true,
  startToCloseTimeoutMs: 7 * 86_400_000,
  heartbeatTimeoutMs: 10_000,
  withSchema: withSchema,
  outputSchema,
  summarize: (input) => {
    const config = input['config'] as { learningRate?: unknown; r?: unknown } | undefined;
    return `train LoRA r=${JSON.stringify(config?.r)} lr=${JSON.stringify(config?.learningRate)}`;
  },
  doCacheSalt: salt,
  doRun: run,
};

import { mkdir } from 'node:fs/promises';
import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext, StepServices } from '../../sdk/contracts/step-kind.ts';
import type {
  BaseModel,
  TrainerV1,
  TrainingConfig,
  TrainRequest,
  TrainingProgress,
  TrainSummary,
} from '../../sdk/contracts/trainer.ts';
import { recipeSchema } from '../../../schemas/outcome/recipe.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { readRows, type DataRow } from '../../sdk/dataset/read-rows.ts';
import type { trainingFactsSchema } from '../../../schemas/outcome/train-run.ts';
import { methodOf } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { RECIPE_REFS } from '../llm/recipe-refs.ts';
import { recipePrompts } from '../llm/recipe-prompts.ts';
import { briefly, reportProgress } from './progress.ts';
import { findDegeneration } from './degeneration.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { requireProgress } from './checkpoints.ts';

/** Input of every training step, but for its settings. */
export const trainingInput = {
  trainer: z.string().min(1),
  model: modelRefSchema,
  recipe: recipeSchema,
  rows: artifactRefSchema,
  /** Only the first so many rows; null for all. */
  rowsLimit: z.int().min(1).nullable().default(null),
  /** Rows for the replies after every epoch, such as a held-out split; null for some of `rows`. */
  samples: artifactRefSchema.nullable().default(null),
};

type Input = z.infer<z.ZodObject<typeof trainingInput>>;

/** How every training step runs: attempts resume from checkpoints, for as long as these get further. */
export const TRAINING_STEP = {
  specificationVersion: 'v1',
  resource: 'gpu',
  retry: 'resumable',
  cacheable: true,
  startToCloseTimeoutMs: 7 * 86_400_000,
  heartbeatTimeoutMs: 10_000,
  // Checkpoints of many gigabytes are hashed and copied in silence.
  stallTimeoutMs: 3_600_000,
  names: { trainer: 'trainers', model: 'models', ...RECIPE_REFS },
  modelCapabilities: ['locateWeights', 'describe'],
} as const;

/** The base, as its provider finds it. Throws `MODEL_CAPABILITY_MISSING` when the provider has no weights to hand out. */
async function baseModel(
  { model: ref }: Pick<Input, 'model'>,
  services: StepServices,
  signal: AbortSignal,
): Promise<BaseModel> {
  const model = services.languageModel(ref);
  const path = await methodOf(model, 'locateWeights')();
  const { weightsDigest, weightFormat } = await methodOf(model, 'describe')(signal);
  if (weightsDigest === undefined) throw withoutDigest(ref);
  return { ...ref, path, digest: weightsDigest, weightFormat };
}

/** Checkpoints are bound to the weights, so that these need an identity. */
function withoutDigest({ provider, id }: Input['model']): EscadaFailure {
  return new EscadaFailure({
    code: 'MODEL_CAPABILITY_MISSING',
    message: `The provider "${provider}" states no digest of the weights of "${id}" (weightsDigest), so nothing can be trained on them.`,
    fields: { provider, model: id, capability: 'describe' },
  });
}

/** What was trained depends on what trains it, as well as on the weights and on the engine that counts their tokens. */
export async function trainingSalt(
  input: Input,
  services: StepServices,
  signal: AbortSignal,
): Promise<string> {
  const model = await baseModel(input, services, signal);
  const { build } = await services.trainer(input.trainer).doDescribe(model, signal);
  return `${await modelSalt(input, services, signal)} ${build}`;
}

/** Rows of `samples` that the seed chooses from. */
const MAX_SAMPLES = 1000;

/** A training that ended. */
export interface EndedTraining<Config extends TrainingConfig, Result> {
  readonly request: TrainRequest<Config>;
  readonly result: Result;
  /** Largest resident memory that its progress reported; null when it reported none. */
  readonly peakMemoryBytes: number | null;
}

/** Trains from the furthest checkpoint of the action on, and hands new ones to the store. */
export async function runTraining<Config extends TrainingConfig, Result>(
  input: Input & { readonly config: Config },
  context: StepContext,
  train: (request: TrainRequest<Config>) => Promise<Result>,
): Promise<EndedTraining<Config, Result>> {
  const saver = new CheckpointSaver(context.checkpoints, (message) => {
    process.stderr.write(`worker: ${message}\n`);
  });
  let peakMemoryBytes: number | null = null;
  const request = await trainRequest(input, context, ({ checkpointStep, rssBytes }) => {
    saver.completed(checkpointStep);
    if (rssBytes !== undefined) peakMemoryBytes = Math.max(peakMemoryBytes ?? 0, rssBytes);
  });
  try {
    const result = await train(request);
    // Nobody resumes a training that has ended.
    saver.stop();
    return { request, result, peakMemoryBytes };
  } finally {
    // The next attempt looks for it at once; one that is cancelled does not wait.
    if (!context.signal.aborted) await saver.settled();
  }
}

/** Rows as a trainer takes them: the prompts are those that the recipe makes of the same rows at answering. */
async function trainingRows(
  recipe: Input['recipe'],
  rows: readonly DataRow[],
  context: StepContext,
): Promise<TrainRequest['rows']> {
  const prompts = await recipePrompts(recipe, rows, context);
  return prompts.map(({ row, messages }) => ({ id: row.id, messages, answer: row.output }));
}

/** What a trainer is asked for, with the checkpoints of other attempts in its folder. */
async function trainRequest<Config extends TrainingConfig>(
  input: Input & { readonly config: Config },
  context: StepContext,
  onStep: (progress: TrainingProgress) => void,
): Promise<TrainRequest<Config>> {
  const rows = await readRows(
    await context.store.localPath(input.rows),
    input.rowsLimit === null ? {} : { limit: input.rowsLimit },
  );
  const samples =
    input.samples === null
      ? null
      : await readRows(await context.store.localPath(input.samples), { limit: MAX_SAMPLES });
  const { checkpoints } = context;
  const outDir = checkpoints.folder;
  await mkdir(outDir, { recursive: true });
  requireProgress(await checkpoints.earlierSteps());
  await checkpoints.restore();
  const model = await baseModel(input, context, context.signal);
  const report = reportProgress(input.config.loggingSteps ?? 1, (progress) =>
    context.heartbeat({ kind: 'train', provider: model.provider, ...progress }),
  );
  return {
    model,
    rows: await trainingRows(input.recipe, rows, context),
    ...(samples === null ? {} : { sampleRows: await trainingRows(input.recipe, samples, context) }),
    config: input.config,
    outDir,
    signal: context.signal,
    onProgress: (progress) => {
      onStep(progress);
      report(progress);
    },
  };
}

/** The step's output besides what was trained. */
export async function trainingOutcome<Config extends TrainingConfig>(
  trainer: TrainerV1,
  { request, result, peakMemoryBytes }: EndedTraining<Config, TrainSummary>,
  { store }: StepContext,
): Promise<z.infer<typeof trainingFactsSchema>> {
  // No times in here: where a trainer resumes exactly, the artifact of a resumed run equals the one of an undisturbed run.
  const by = { id: trainer.id, ...result.by };
  const rows = request.rows.length;
  const { losses, skippedSteps = 0, arithmetic, samples = [], seconds } = result;
  const warnings = [...(result.warnings ?? []), ...findDegeneration(samples)].sort((a, b) => a.step - b.step);
  const { config } = request;
  const training = { trainer: by, config, rows, losses, skippedSteps, arithmetic, warnings, samples };
  return {
    training: await store.putJson(training),
    rows,
    steps: result.steps,
    lossFirstNats: result.lossFirstNats,
    lossLastNats: result.lossLastNats,
    skippedSteps,
    warnings: briefly(warnings),
    warningCount: warnings.length,
    usage: {
      ...{ promptTokens: 0, completionTokens: 0, trainingTokens: result.labelledTokens, seconds },
      peakMemoryBytes,
    },
  };
}

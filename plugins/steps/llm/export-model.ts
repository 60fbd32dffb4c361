import { join } from 'node:path';
import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { ExportRequest, ExportResult } from '../../sdk/contracts/language-model.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { maxNewTokensSchema } from '../../../schemas/common/limits.ts';
import { exportedModelSchema } from '../../../schemas/outcome/export-run.ts';
import { recipeSchema } from '../../../schemas/outcome/recipe.ts';
import { exportFormatSchema, MAX_DRIFT_NATS } from '../../../schemas/spec/export-format.ts';
import { methodOf } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { recipePrompts } from './recipe-prompts.ts';
import { readJsonl, type Prediction } from '../../sdk/jsonl.ts';

const checkSchema = z.strictObject({
  /** Answered rows (JSONL) whose inputs are asked again. */
  predictions: artifactRefSchema,
  recipe: recipeSchema,
  maxNewTokens: maxNewTokensSchema,
  /** Only the first so many rows. */
  rowsLimit: z.int().min(1).max(1000).default(24),
  /** Larger drifts fail the step; the default follows the format. */
  maxDriftNats: z.number().positive().optional(),
});

const optionsSchema = z.strictObject({
  model: modelRefSchema,
  /** Adapter folder artifact; null exports the base alone. */
  adapter: artifactRefSchema.nullable(),
  format: exportFormatSchema,
  /** Which weights the adapter is added to: those it was trained on, or those of the model's file. */
  base: z.enum(['trained', 'stored']).default('trained'),
  /** Folders only: larger weights are spread over several files, as `max_shard_size` of transformers does. */
  maxShardBytes: z.int().min(1).optional(),
  /** Null releases without a comparison. */
  check: checkSchema.nullable(),
});

/** What the exporter would refuse once the model is open is refused when the run starts. */
const withSchema = optionsSchema
  .refine(({ format, maxShardBytes }) => maxShardBytes === undefined || !format.startsWith('gguf'), {
    path: ['maxShardBytes'],
    message: 'a GGUF file is not cut into shards; leave it out',
  })
  .refine(({ format, adapter }) => adapter !== null || format !== 'gguf-lora', {
    path: ['adapter'],
    message: 'gguf-lora writes an adapter, so there must be one',
  });

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof exportedModelSchema>;

async function promptsOf(
  check: z.infer<typeof checkSchema>,
  context: StepContext,
): Promise<NonNullable<ExportRequest['check']>> {
  const rows = await readJsonl<Prediction>(context.store, check.predictions, { limit: check.rowsLimit });
  const asked = rows.map(({ id, input, reference }) => ({ id, input, output: reference }));
  const prompts = await recipePrompts(check.recipe, asked, context);
  return {
    rows: prompts.map(({ row, messages }) => ({ id: row.id, messages })),
    maxTokens: check.maxNewTokens,
  };
}

/** Throws `EXPORT_DRIFT` when the export answers too differently. */
export function requireFaithful(
  input: Pick<With, 'check' | 'format'>,
  { drift }: Pick<ExportResult, 'drift'>,
): void {
  if (drift === undefined || input.check === null || input.format === 'gguf-lora') return;
  const most = input.check.maxDriftNats ?? MAX_DRIFT_NATS[input.format];
  const { rows, equalAnswers, logProbDifferenceNats } = drift;
  if (logProbDifferenceNats !== null && logProbDifferenceNats <= most) return;
  const found =
    logProbDifferenceNats === null
      ? 'not a finite number of nats'
      : `${logProbDifferenceNats.toPrecision(3)} nats`;
  throw new EscadaFailure({
    code: 'EXPORT_DRIFT',
    message: `The export as ${input.format} is ${found} per token away from base and adapter, more than ${most}; ${equalAnswers} of ${rows} answers are equal.`,
    fields: { format: input.format, maxDriftNats: most, ...drift },
  });
}

async function run(input: With, context: StepContext): Promise<Output> {
  const { store } = context;
  const exportAs = methodOf(context.languageModel(input.model), 'export');
  const form = input.format.startsWith('gguf') ? 'file' : 'folder';
  const outPath = join(context.scratchDir, form === 'file' ? 'model.gguf' : 'model');
  const result = await exportAs({
    ...(input.adapter === null ? {} : { adapterPath: await store.localFolder(input.adapter) }),
    format: input.format,
    base: input.base,
    outPath,
    maxShardBytes: input.maxShardBytes,
    ...(input.check === null ? {} : { check: await promptsOf(input.check, context) }),
    signal: context.signal,
  });
  requireFaithful(input, result);
  const { sha256, sizeBytes, merged, drift } = result;
  const put = form === 'file' ? store.putFile(outPath, 'application/gguf') : store.putFolder(outPath);
  return { export: await put, form, format: input.format, sha256, sizeBytes, merged, drift: drift ?? null };
}

/** A model for other programs; released only if it answers as base and adapter do. */
export const exportModel: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'model.export@1',
  title: 'Export a model',
  ...MODEL_STEP,
  cacheable: true,
  startToCloseTimeoutMs: 6 * 3_600_000,
  heartbeatTimeoutMs: 10_000,
  // Folders of many gigabytes are hashed and copied in silence.
  stallTimeoutMs: 3_600_000,
  withSchema,
  outputSchema: exportedModelSchema,
  names: {
    model: 'models',
    'check.recipe.demonstrations.retriever': 'retrievers',
    'check.recipe.retrieval.retriever': 'retrievers',
  },
  modelCapabilities: ['export'],
  summarize: (input) => `export as ${JSON.stringify(input['format'])}`,
  doCacheSalt: modelSalt,
  doRun: run,
};

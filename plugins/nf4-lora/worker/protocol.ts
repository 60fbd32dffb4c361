/**
 * Every message of the engine protocol (`../PROTOCOL.md`), as schemas. Requests are typed by them; replies and events
 * are checked with them, because they come from another process.
 */
import { z } from 'zod';
import type * as process from '../../sdk/process/methods.ts';
import { replySchemaOf } from '../../sdk/process/methods.ts';
import { blockSizeSchema, weightFormatSchema } from '../model-options.ts';
import { exportFormatSchema } from '../../../schemas/spec/export-format.ts';
import { fullConfigSchema, type TrainConfig } from '../../../schemas/spec/full-config.ts';
import { loraConfigSchema } from '../../../schemas/spec/lora-config.ts';
import { trainingWarningSchema } from '../../../schemas/outcome/warning.ts';

/** Version that both sides state in every message. */
export const PROTOCOL_VERSION = 1;

const count = z.int().nonnegative();
const seconds = z.number().nonnegative();
const path = z.string().min(1);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One chat turn. */
export const messageSchema = z.strictObject({
  role: z.enum(['system', 'user', 'assistant']),
  content: z.string(),
});

/** A sign of life of a long operation, at most one a second: what it is doing. */
export const aliveEventSchema = z.strictObject({ kind: z.literal('alive'), doing: z.string() });
export type AliveEvent = z.infer<typeof aliveEventSchema>;

const rowProgress = z.strictObject({
  done: count,
  total: count,
  newTokens: count,
  tokensPerSecond: z.number().nonnegative(),
});

/** A reply after an epoch. */
export const sampleSchema = z.strictObject({
  epoch: z.int().positive(),
  id: z.string(),
  text: z.string(),
  newTokens: count,
  goldTokens: count,
  finish: z.enum(['stop', 'length']),
});
export type Sample = z.infer<typeof sampleSchema>;

/** Progress of one optimizer step. */
export const trainEventSchema = z.strictObject({
  step: count,
  totalSteps: count,
  lossNats: z.number().nullable(),
  learningRate: z.number().nonnegative(),
  gradientNorm: z.number().nonnegative().nullable(),
  tokensPerSecond: z.number().nonnegative(),
  etaSeconds: seconds,
  rssBytes: count,
  plannedPeakBytes: count,
  checkpointStep: count,
  skippedSteps: count,
  warnings: z.array(trainingWarningSchema),
  samples: z.array(sampleSchema),
});

/** What a training holds beyond the memory that was resident before it, and how many layers keep what. */
export const memoryPlanSchema = z.strictObject({
  trainedBytes: count,
  momentsBytes: count,
  savedBytes: count,
  workingBytes: count,
  headBytes: count,
  sharedPrefixBytes: count,
  transferBytes: count,
  layers: z.strictObject({ keep: count, recomputeMlp: count, checkpoint: count }),
});

/** Not sent: the engine reports every step. */
const NOT_SENT = { loggingSteps: true } as const;

const engineConfigSchema = z.discriminatedUnion('method', [
  loraConfigSchema.omit(NOT_SENT),
  fullConfigSchema.omit(NOT_SENT),
]);

/** A training's settings as the engine reads them. */
export function toWireConfig(config: TrainConfig): z.infer<typeof engineConfigSchema> {
  const { loggingSteps: _, ...sent } = config;
  return sent;
}

/** Parameters, result and event of each method. `z.never()` = the method has no events, not even signs of life. */
export const METHODS = {
  hello: {
    params: z.strictObject({}),
    result: z.strictObject({
      protocol: z.literal(PROTOCOL_VERSION),
      engineBuild: z.string().min(1),
      isaClass: z.string().min(1),
      threads: z.int().positive(),
    }),
    event: z.never(),
  },
  load: {
    params: z.strictObject({
      path,
      weightFormat: weightFormatSchema,
      blockSize: blockSizeSchema,
      doubleQuant: z.boolean(),
      threads: z.int().positive().optional(),
    }),
    result: z.strictObject({
      modelDigest: z.string().min(1),
      architecture: z.string(),
      layers: count,
      hiddenSize: count,
      vocabularySize: count,
      contextTokens: count,
      chatTemplate: z.string().min(1),
      systemTurns: z.enum(['own', 'merged']),
      parameters: count,
      weightBytes: count,
      rssBytes: count,
      seconds,
    }),
    event: aliveEventSchema,
  },
  count: {
    params: z.strictObject({ rowsPath: path, outPath: path }),
    result: z.strictObject({ rows: count, contextTokens: count, seconds }),
    event: aliveEventSchema,
  },
  generate: {
    params: z.strictObject({
      requestsPath: path,
      outPath: path,
      adapterPath: path.optional(),
      maxNewTokens: z.int().positive(),
      batchRows: z.int().positive(),
      temperature: z.number().nonnegative(),
      topP: z.number().gt(0).max(1),
      topK: count.optional(),
      minP: z.number().min(0).max(1).optional(),
      repetitionPenalty: z.number().positive().optional(),
      seed: count,
      stop: z.array(z.string().min(1)),
    }),
    result: z.strictObject({
      rows: count,
      promptTokens: count,
      sharedPrefixTokens: count,
      newTokens: count,
      seconds,
    }),
    event: z.union([rowProgress, aliveEventSchema]),
  },
  score: {
    params: z.strictObject({ requestsPath: path, outPath: path, adapterPath: path.optional() }),
    result: z.strictObject({ rows: count, tokens: count, seconds }),
    event: z.union([rowProgress, aliveEventSchema]),
  },
  embed: {
    params: z.strictObject({
      requestsPath: path,
      outPath: path,
      adapterPath: path.optional(),
      normalize: z.boolean(),
    }),
    result: z.strictObject({ rows: count, hiddenSize: z.int().positive(), tokens: count, seconds }),
    event: z.union([rowProgress, aliveEventSchema]),
  },
  train: {
    params: z.strictObject({
      rowsPath: path,
      samplesPath: path.optional(),
      outDir: path,
      baseModel: z.string().min(1).optional(),
      config: engineConfigSchema,
    }),
    result: z.strictObject({
      adapterPath: path.optional(),
      adapterSha256: sha256.optional(),
      modelPath: path.optional(),
      modelSha256: sha256.optional(),
      steps: count,
      lossFirstNats: z.number(),
      lossLastNats: z.number(),
      skippedSteps: count,
      labelledTokens: count,
      seconds,
      resumedFromStep: count,
      plannedPeakBytes: count,
      memoryPlan: memoryPlanSchema,
      arithmetic: z.enum(['f32', '16-bit']),
    }),
    event: z.union([trainEventSchema, aliveEventSchema]),
  },
  export: {
    params: z.strictObject({
      path,
      adapterPath: path.optional(),
      outPath: path,
      format: exportFormatSchema,
      weightFormat: weightFormatSchema,
      blockSize: blockSizeSchema,
      doubleQuant: z.boolean(),
      maxShardBytes: z.int().positive().optional(),
      check: z
        .strictObject({
          requestsPath: path,
          maxNewTokens: z.int().positive(),
          batchRows: z.int().positive(),
        })
        .optional(),
    }),
    result: z.strictObject({
      sha256,
      sizeBytes: count,
      merged: count,
      seconds,
      drift: z
        .strictObject({
          rows: count,
          equalAnswers: count,
          logProbDifferenceNats: z.number().nonnegative().nullable(),
        })
        .optional(),
    }),
    event: aliveEventSchema,
  },
  cancel: {
    params: z.strictObject({ target: count }),
    result: z.strictObject({ cancelled: z.boolean() }),
    event: z.never(),
  },
} as const;

export type Method = keyof typeof METHODS;
export type ParamsOf<M extends Method> = process.ParamsOf<typeof METHODS, M>;
export type ResultOf<M extends Method> = process.ResultOf<typeof METHODS, M>;
/** Events that report progress; signs of life do not. */
export type EventOf<M extends Method> = Exclude<process.EventOf<typeof METHODS, M>, AliveEvent>;

/** Anything the child may send. */
export const replySchema = replySchemaOf(PROTOCOL_VERSION);

/** In every row that asks something; `adapterPath` goes before the call's. */
const promptRow = { id: z.string(), adapterPath: path.optional() };

/** Rows of the bulk files, by the method that reads or writes them. */
export const ROWS = {
  count: {
    input: z.strictObject({
      id: z.string(),
      messages: z.array(messageSchema),
      answer: z.string().optional(),
    }),
    output: z.strictObject({ id: z.string(), promptTokens: count, answerTokens: count }),
  },
  generate: {
    input: z.union([
      z.strictObject({ ...promptRow, messages: z.array(messageSchema) }),
      z.strictObject({ ...promptRow, prompt: z.string() }),
    ]),
    output: z.strictObject({
      id: z.string(),
      text: z.string(),
      promptTokens: count,
      newTokens: count,
      finish: z.enum(['stop', 'length']),
    }),
  },
  score: {
    input: z.union([
      z.strictObject({
        ...promptRow,
        messages: z.array(messageSchema),
        continuations: z.array(z.string()),
      }),
      z.strictObject({ ...promptRow, prompt: z.string(), continuations: z.array(z.string()) }),
    ]),
    output: z.strictObject({
      id: z.string(),
      scores: z.array(z.strictObject({ logProbNats: z.number(), tokens: count })),
    }),
  },
  embed: {
    input: z.strictObject({ ...promptRow, text: z.string() }),
  },
  train: {
    input: z.strictObject({ id: z.string(), messages: z.array(messageSchema), answer: z.string() }),
  },
} as const;

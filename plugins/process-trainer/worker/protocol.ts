/**
 * Every message between a worker and a trainer's command (`../PROTOCOL.md`), as schemas; `schemas/generated` holds them
 * as JSON Schema. What a command sends is checked with them.
 */
import { z } from 'zod';
import { requestIdSchema } from '../../sdk/process/methods.ts';
import type * as methods from '../../sdk/process/methods.ts';
import { loraConfigSchema } from '../../../schemas/spec/lora-config.ts';

/** Version that both sides state in every message. */
export const PROTOCOL_VERSION = 1;

const count = z.int().nonnegative();
const path = z.string().min(1);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const { shape: config } = loraConfigSchema;

/** What a trainer is able to do; what a training asks beyond it is refused before the training begins. */
export const capabilitiesSchema = z.strictObject({
  /** Formats in which it can hold the base's weights. */
  weightFormats: z.array(z.enum(['nf4', 'f32'])).min(1),
  /** A `.gguf` file; a folder with `config.json`, `tokenizer.json` and `*.safetensors`. */
  modelFiles: z.array(z.enum(['gguf', 'hf-folder'])).min(1),
  optim: z.array(config.optim.unwrap()).min(1),
  lrSchedulerTypes: z.array(config.lrSchedulerType.unwrap()).min(1),
  rsLora: z.boolean(),
  packing: z.boolean(),
  /** What it can do about steps that are not finite; `["stop"]` if it does not say. */
  nonFinite: z.array(config.nonFinite.unwrap()).min(1).optional(),
  /** `bitwise`: a resumed training gives the bytes of an uninterrupted one; `approximate`: nearly; `none`: it starts over. */
  resume: z.enum(['bitwise', 'approximate', 'none']),
});
export type Capabilities = z.infer<typeof capabilitiesSchema>;

const modelFields = {
  modelPath: path,
  /** The provider's digest of the weights. */
  modelDigest: z.string().min(1),
  weightFormat: z.enum(['nf4', 'f32']),
};

/** One optimizer step, or the last of several. */
export const progressEventSchema = z
  .strictObject({
    kind: z.literal('progress'),
    step: z.int().positive(),
    totalSteps: z.int().positive(),
    /** Mean over the labelled tokens of the step, before its update; null where it is not finite. */
    lossNats: z.number().nullable(),
    learningRate: z.number().nonnegative(),
    /** Labelled tokens since the event before. */
    tokens: count,
    /** Before clipping; null where it is not finite. */
    gradientNorm: z.number().nonnegative().nullable().optional(),
    rssBytes: count.optional(),
    /** The step was not finite and its update was left out, as `config.nonFinite: "skip"` asks. */
    skipped: z.boolean().optional(),
  })
  .refine(
    ({ lossNats, gradientNorm, skipped }) => skipped === true || (lossNats !== null && gradientNorm !== null),
    {
      message: 'only a step that was skipped has a loss or norm of null',
    },
  );
export type ProgressEvent = z.infer<typeof progressEventSchema>;

const trainEventSchema = z.discriminatedUnion('kind', [
  progressEventSchema,
  /** `outDir/checkpoint-<step>` is whole: every file is written and closed, and will not be written again. */
  z.strictObject({ kind: z.literal('checkpoint'), step: z.int().positive() }),
  /** A sign of life where there is no step to report. */
  z.strictObject({ kind: z.literal('alive'), doing: z.string().max(200) }),
]);
export type TrainEvent = z.infer<typeof trainEventSchema>;

/** Parameters, result and event of each method. */
export const METHODS = {
  hello: {
    params: z.strictObject({ protocols: z.array(z.int().positive()) }),
    result: z.strictObject({
      protocol: z.literal(PROTOCOL_VERSION),
      name: z.string().min(1).max(100),
      version: z.string().min(1).max(100),
      /** What else the result depends on: versions of libraries, digest of the script. Part of cache keys. */
      build: z.string().max(1000),
      capabilities: capabilitiesSchema,
    }),
    event: z.never(),
  },
  train: {
    params: z.strictObject({
      ...modelFields,
      rowsPath: path,
      outDir: path,
      config: loraConfigSchema,
      /** Folder of the newest complete checkpoint; null to begin. */
      resumeFrom: path.nullable(),
    }),
    result: z.strictObject({
      /** Folder in PEFT format, inside `outDir`. */
      adapterPath: path,
      /** SHA-256 of `adapter_model.safetensors`. */
      adapterSha256: sha256,
      steps: count,
      resumedFromStep: count,
    }),
    event: trainEventSchema,
  },
  cancel: {
    params: z.strictObject({ target: requestIdSchema }),
    result: z.strictObject({ cancelled: z.boolean() }),
    event: z.never(),
  },
} as const;

export type ParamsOf<M extends keyof typeof METHODS> = methods.ParamsOf<typeof METHODS, M>;
export type ResultOf<M extends keyof typeof METHODS> = methods.ResultOf<typeof METHODS, M>;

/** One line of the file at `rowsPath`. */
export const trainRowSchema = z.strictObject({
  id: z.string(),
  messages: z.array(z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })),
  answer: z.string(),
});

const envelope = { v: z.literal(PROTOCOL_VERSION), id: requestIdSchema };
const requestOf = <M extends keyof typeof METHODS>(method: M) =>
  z
    .strictObject({ ...envelope, method: z.literal(method), params: METHODS[method].params })
    .meta({ id: `${method}-request` });
const resultOf = <M extends keyof typeof METHODS>(method: M) =>
  z.strictObject({ ...envelope, result: METHODS[method].result }).meta({ id: `${method}-result` });

/** Any line on either pipe: what `schemas/generated/trainer-protocol.json` describes. */
export const messageSchema = z.union([
  requestOf('hello'),
  requestOf('train'),
  requestOf('cancel'),
  resultOf('hello'),
  resultOf('train'),
  resultOf('cancel'),
  z.strictObject({ ...envelope, event: trainEventSchema }).meta({ id: 'train-event' }),
  z
    .strictObject({
      ...envelope,
      id: requestIdSchema.nullable(),
      error: z.strictObject({ code: z.string(), message: z.string() }),
    })
    .meta({ id: 'error' }),
]);

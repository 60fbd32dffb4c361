import { z } from 'zod';
import { commonFields } from './common-config.ts';
import { loraConfigSchema } from './lora-config.ts';

/**
 * Hyper-parameters of full fine-tuning by their usual names. Every parameter is trained, in f32; weight decay spares norms and
 * biases. A checkpoint is three times the size of the f32 weights with f32 moments, and two are kept.
 */
export const fullConfigSchema = z.strictObject({
  /** Full fine-tuning. */
  method: z.literal('full'),
  /** Peak learning rate. */
  learningRate: z.number().positive().max(1).default(2e-5),
  ...commonFields,
  /** Rarer than with adapters: each checkpoint holds every parameter and its moments. */
  saveSteps: z.int().min(1).default(100),
  /** Replies after every epoch are adapters' only. */
  sampleRows: z.literal(0).default(0),
});

export type FullConfig = z.infer<typeof fullConfigSchema>;

/** What a training is set to: adapters, unless `method` says otherwise. */
export const trainConfigSchema = z.discriminatedUnion('method', [loraConfigSchema, fullConfigSchema]);

export type TrainConfig = z.infer<typeof trainConfigSchema>;

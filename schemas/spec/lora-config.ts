import { z } from 'zod';
import { commonFields } from './common-config.ts';

/** Hyper-parameters of a LoRA run by their usual names. */
export const loraConfigSchema = z.strictObject({
  /** LoRA, unless it says `full`. */
  method: z.literal('lora').optional(),
  /** Rank of the adapter. */
  r: z.int().min(1).max(1024).default(16),
  /** Scaling: the update is multiplied by `loraAlpha / r`. */
  loraAlpha: z.number().positive().default(32),
  /** Dropout on the adapter's input in training. */
  loraDropout: z.number().min(0).max(0.9).default(0),
  /** Projections that get an adapter, or all linear layers. */
  targetModules: z
    .union([z.literal('all-linear'), z.array(z.string().min(1).max(200)).min(1).max(200)])
    .default('all-linear'),
  /** Rank-stabilized scaling: `loraAlpha / sqrt(r)`. */
  rsLora: z.boolean().default(false),
  /** Peak learning rate. */
  learningRate: z.number().positive().max(1).default(1e-3),
  ...commonFields,
});

export type LoraConfig = z.infer<typeof loraConfigSchema>;

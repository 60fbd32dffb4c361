import { z } from 'zod';
import { commonFields } from './common-config.ts';

/** Hyper-parameters of a LoRA run by their usual names. */
export const loraConfigSchema = z.strictObject({
  method: z.literal('lora').optional(),
  r: z.int().min(1).max(1024).default(16),
  loraAlpha: z.number().positive().default(32),
  loraDropout: z.number().min(0).max(0.9).default(0),
  targetModules: z
    .union([z.literal('all-linear'), z.array(z.string().min(1).max(200)).min(1).max(200)])
    .default('all-linear'),
  rsLora: z.boolean().default(false),
  learningRate: z.number().positive().max(1).default(1e-3),
  ...commonFields,
});

export type LoraConfig = z.infer<typeof loraConfigSchema>;

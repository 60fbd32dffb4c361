import { z } from 'zod';

/** Values that share a scale in NF4: the sizes that bitsandbytes writes and reads. */
export const BLOCK_SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096] as const;

export const blockSizeSchema = z.literal(BLOCK_SIZES);

/** Format in which the engine holds the weights while it computes. */
export const weightFormatSchema = z.enum(['nf4', 'f32']);
export type WeightFormat = z.infer<typeof weightFormatSchema>;

/** How NF4 is laid out. Weights that are stored in NF4 keep their own layout. */
export const quantizationSchema = z.strictObject({
  /** Weights that share a scale. */
  blockSize: blockSizeSchema.default(64),
  /** Scales in eight bits, with a scale for each 256 of them. */
  doubleQuant: z.boolean().default(true),
});

export type Quantization = z.infer<typeof quantizationSchema>;

/** What bitsandbytes does by default, with double quantization. */
export const USUAL: Quantization = { blockSize: 64, doubleQuant: true };

/** Options of this provider's models (`model.options` of a spec). */
export const modelOptionsSchema = z.strictObject({
  weightFormat: weightFormatSchema.default('nf4'),
  /** NF4 only: blocks of 64 with double quantization when absent. */
  quantization: quantizationSchema.optional(),
});

export type ModelOptions = z.infer<typeof modelOptionsSchema>;

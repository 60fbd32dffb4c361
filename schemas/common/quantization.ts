import { z } from 'zod';

/** Values that share a scale in NF4: the sizes that bitsandbytes writes and reads. */
export const BLOCK_SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096] as const;

export const blockSizeSchema = z.literal(BLOCK_SIZES);

/** How NF4 is laid out. Weights that are stored in NF4 keep their own layout. */
export const quantizationSchema = z.strictObject({
  /** Weights that share a scale. */
  blockSize: blockSizeSchema.default(64),
  /** Scales in eight bits, with a scale for each 256 of them. */
  doubleQuant: z.boolean().default(true),
});

export type Quantization = z.infer<typeof quantizationSchema>;

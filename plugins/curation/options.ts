import { z } from 'zod';

/** Options of the plugin. Results do not depend on them; speed and memory do. */
export const curationOptionsSchema = z.strictObject({
  /** Memory that the table engine may use for its buffers, in MiB; beyond it, it spills to the scratch folder. */
  memoryLimitMiB: z.int().min(128).max(1_048_576).default(1024),
  /**
   * Disk that one step may use in its scratch folder when memory is not enough, in MiB; never more than half of what is
   * free when it starts, so that checkpoints still fit.
   */
  maxSpillMiB: z.int().min(64).max(1_073_741_824).default(16_384),
  /** Threads of the table engine; without it one per core, four at most. */
  threads: z.int().min(1).max(256).optional(),
});

export type CurationOptions = z.infer<typeof curationOptionsSchema>;

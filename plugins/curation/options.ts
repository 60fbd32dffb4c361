import { z } from 'zod';

/** Options of the plugin. Results do not depend on them; speed and memory do. */
export const curationOptionsSchema = z.strictObject({
  /** Memory that the table engine may use for its buffers, in MiB; beyond it, it spills to the scratch folder. */
  memoryLimitMiB: z.int().min(128).max(1_048_576).default(1024),
  /** Threads of the table engine; without it one per core, four at most. */
  threads: z.int().min(1).max(256).optional(),
});

export type CurationOptions = z.infer<typeof curationOptionsSchema>;

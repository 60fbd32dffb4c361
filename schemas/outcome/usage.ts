import { z } from 'zod';
import type { Immutable } from '../common/immutable.ts';

/** What a step used. A step kind that passes tokens through a model outputs it as `usage`. */
export const usageSchema = z.strictObject({
  /** Tokens read as prompts, those of scored texts included. */
  promptTokens: z.int().nonnegative(),
  /** Tokens generated. */
  completionTokens: z.int().nonnegative(),
  /** Labelled tokens trained on, over all steps. */
  trainingTokens: z.int().nonnegative(),
  /** Wall seconds. */
  seconds: z.number().nonnegative(),
  /** Largest resident memory; null where the provider cannot say. */
  peakMemoryBytes: z.int().nonnegative().nullable(),
  /** What the provider charges, in US dollars; absent where it charges nothing. */
  costUsd: z.number().nonnegative().optional(),
});

export type Usage = Immutable<z.infer<typeof usageSchema>>;

import { z } from 'zod';

/** Training warnings: the training continues. */
export const trainingWarningSchema = z.strictObject({
  /**
   * `skipped-step`: a step that was not finite and therefore left out (`nonFinite: "skip"`). `precision`: arithmetic in
   * more bits than the settings allow. `chat-template`: the model brings none, or none with a system role. `vice`: what the replies after an epoch have in common, or do, and answers do not.
   * `spike`: a step whose loss or gradient norm is far above those before it.
   */
  kind: z.enum(['skipped-step', 'precision', 'chat-template', 'vice', 'spike']),
  /** From 1; 0 for the whole training. */
  step: z.int().nonnegative(),
  message: z.string(),
  /** Ids of the rows concerned, a few of them. */
  rows: z.array(z.string()),
});

export type TrainingWarning = z.infer<typeof trainingWarningSchema>;

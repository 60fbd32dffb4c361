import { z } from 'zod';

/** Training warnings: the training continues. */
export const trainingWarningSchema = z.strictObject({
  /**
   * `skipped-step`: a step that was not finite and therefore left out (`nonFinite: "skip"`). `precision`: arithmetic in
   * more bits than the settings allow. `chat-template`: the model brings none, or none with a system role.
   * `degenerate-output`: replies after an epoch repeat themselves, are empty, do not end, or are alike although the
   * reference answers differ. `spike`: a step whose loss or gradient norm is far above those before it.
   */
  kind: z.enum(['skipped-step', 'precision', 'chat-template', 'degenerate-output', 'spike']),
  /** From 1; 0 for the whole training. */
  step: z.int().nonnegative(),
  message: z.string(),
  /** Ids of the rows concerned, a few of them. */
  rows: z.array(z.string()),
});

export type TrainingWarning = z.infer<typeof trainingWarningSchema>;

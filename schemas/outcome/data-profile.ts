/** What the rows of a run look like: numbers of rows, classes and lengths, by split. */
import { z } from 'zod';

/** Rows of a split that its lengths and classes are computed from; of a larger split, every k-th row. */
export const MAX_PROFILE_ROWS = 200_000;

const count = z.int().nonnegative();
const characters = z.number().nonnegative();

/** Lengths of one column in characters. Quantiles are interpolated between the two nearest rows. */
export const lengthsSchema = z.strictObject({
  mean: characters,
  min: characters,
  p10: characters,
  p50: characters,
  p90: characters,
  max: characters,
});

/** One split. `classes` is null where the outputs are not a few labels. */
export const splitProfileSchema = z.strictObject({
  rows: count,
  /** Rows that lengths and classes are computed from: all, or every k-th in file order. */
  sampledRows: count,
  input: lengthsSchema,
  output: lengthsSchema,
  classes: z
    .array(z.strictObject({ label: z.string(), rows: count, share: z.number().min(0).max(1) }))
    .nullable(),
});

/** The profile that a split step outputs as `profile`; the report shows it. */
export const dataProfileSchema = z.strictObject({
  train: splitProfileSchema,
  dev: splitProfileSchema,
  test: splitProfileSchema,
});

/** Lengths in tokens over all rows that a token filter read, as it outputs them in `tokens`; 0 when there were none. */
export const tokenLengthsSchema = z.strictObject({
  promptP50: count,
  promptP95: count,
  answerP50: count,
  answerP95: count,
  maxPrompt: count,
  maxAnswer: count,
});

export type Lengths = z.infer<typeof lengthsSchema>;
export type SplitProfile = z.infer<typeof splitProfileSchema>;
export type DataProfile = z.infer<typeof dataProfileSchema>;
export type TokenLengths = z.infer<typeof tokenLengthsSchema>;

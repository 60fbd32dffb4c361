import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';
import { seedSchema } from '../common/limits.ts';
import { nameTextSchema } from '../common/texts.ts';

/** Most demonstrations of a prompt, and most passages. */
export const [MAX_SHOTS, MAX_PASSAGES] = [32, 20] as const;

const shown = {
  /** Rows that demonstrations are chosen from. */
  rows: artifactRefSchema,
  /** How many are in the prompt. */
  shots: z.int().min(1).max(MAX_SHOTS),
};

/**
 * Demonstrations in the prompt. `random`: the same ones for every row, by seed. `nearest`: those whose input is nearest to
 * the row's, by a retriever, the nearest one last. A row is never its own demonstration.
 */
export const demonstrationsSchema = z.discriminatedUnion('selection', [
  z.strictObject({ ...shown, selection: z.literal('random'), seed: seedSchema }),
  z.strictObject({ ...shown, selection: z.literal('nearest'), retriever: nameTextSchema }),
]);

/** Passages looked up for the input and put before it. A row never finds the passage made from itself. */
export const retrievalSchema = z.strictObject({
  retriever: nameTextSchema,
  index: artifactRefSchema,
  /** Passages in the prompt. */
  topK: z.int().min(1).max(MAX_PASSAGES),
});

/** Everything that turns a row into a prompt. */
export const recipeSchema = z.strictObject({
  system: z.string().max(2000),
  instruction: z.string().min(1).max(2000),
  demonstrations: demonstrationsSchema.nullable(),
  retrieval: retrievalSchema.nullable(),
});

export type Demonstrations = Immutable<z.infer<typeof demonstrationsSchema>>;
export type Retrieval = Immutable<z.infer<typeof retrievalSchema>>;
export type Recipe = Immutable<z.infer<typeof recipeSchema>>;

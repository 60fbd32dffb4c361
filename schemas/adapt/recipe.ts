import { z } from 'zod';

/** Zod twin of `PromptRecipe`. */
export const promptRecipeSchema = z.strictObject({
  system: z.string(),
  instruction: z.string().min(1),
  shots: z.int().min(0).max(32),
  choose: z.enum(['none', 'fixed', 'similar']),
});

/** Which model a step calls. */
export const modelSchema = z.strictObject({
  provider: z.string().min(1),
  id: z.string().min(1),
  weightFormat: z.enum(['nf4', 'f32']),
});

/** Tokens and wall seconds that a batch of answers took. */
export const usageSchema = z.strictObject({
  rows: z.int().nonnegative(),
  promptTokens: z.int().nonnegative(),
  newTokens: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
});

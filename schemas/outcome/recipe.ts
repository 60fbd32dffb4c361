import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import { quantizationSchema } from '../common/quantization.ts';
import { nameTextSchema, pathTextSchema } from '../common/texts.ts';

/** A recipe without look-ups: what training and loss of answers work with. */
export const bareRecipeSchema = z.strictObject({
  system: z.string().max(2000),
  instruction: z.string().min(1).max(2000),
  shots: z.int().min(0).max(32),
  choose: z.enum(['none', 'fixed', 'similar']),
});

/** Zod twin of `RetrievalRecipe`. */
export const retrievalRecipeSchema = z.strictObject({
  retriever: nameTextSchema,
  index: artifactRefSchema,
  topK: z.int().min(1).max(20),
});

/** Zod twin of `PromptRecipe`. */
export const promptRecipeSchema = bareRecipeSchema.extend({ retrieval: retrievalRecipeSchema.optional() });

/** Zod twin of `RetrievalFacts`. */
export const retrievalFactsSchema = z.strictObject({
  rows: z.int().nonnegative(),
  found: z.int().nonnegative(),
  recall: z.array(z.strictObject({ k: z.int().min(1), value: z.number().min(0).max(1) })),
});

/** Which model a step calls. */
export const modelSchema = z.strictObject({
  provider: nameTextSchema,
  id: pathTextSchema,
  weightFormat: z.enum(['nf4', 'f32']),
  /** Of `nf4`; blocks of 64 with double quantization when absent. */
  quantization: quantizationSchema.optional(),
});

/** Tokens and wall seconds that a batch of answers took. */
export const usageSchema = z.strictObject({
  rows: z.int().nonnegative(),
  promptTokens: z.int().nonnegative(),
  completionTokens: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
});

/** Zod twin of `SkippedRecipe`. */
export const skippedSchema = z.strictObject({ name: z.string(), reason: z.string() });

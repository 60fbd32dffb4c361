import { z } from 'zod';
import { nameTextSchema, optionsSchema, pathTextSchema } from './texts.ts';

/** A model: the provider that opens it, the provider's id for it, and options that the provider's own schema checks. */
export const modelRefSchema = z.strictObject({
  /** Provider that opens the model. */
  provider: nameTextSchema,
  /** Name of the model, as its provider knows it. */
  id: pathTextSchema,
  /** Options of the provider; its own schema checks them. */
  options: optionsSchema.default({}),
});

export type ModelRef = z.infer<typeof modelRefSchema>;

/** A model as a spec names it: what is left out is the default of the plugin list. */
export const modelChoiceSchema = modelRefSchema.partial({ provider: true, id: true });

export type ModelChoice = z.infer<typeof modelChoiceSchema>;

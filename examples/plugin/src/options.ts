import { z } from 'zod';

/** Options of the plugin, as `escada.config.json` gives them. */
export const optionsSchema = z.strictObject({
  /** What the model does with a prompt that shows no demonstration: fail, or repeat the question. */
  withoutDemonstration: z.enum(['fail', 'echo']).default('fail'),
});

export type Options = z.infer<typeof optionsSchema>;

import { z } from 'zod';
import { nameTextSchema } from '../common/texts.ts';
import { dataSourceSchema } from './adaptation-spec.ts';
import { maxNewTokensSchema, maxPromptTokensSchema } from '../common/limits.ts';
import { modelSchema } from '../outcome/recipe.ts';
import { trainConfigSchema } from './full-config.ts';

/** What a user writes to have one adapter, or all weights, trained without a ladder: all rows that survive curation are trained on. */
export const trainSpecSchema = z.strictObject({
  specVersion: z.literal(1).default(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/),
  task: z.strictObject({
    instruction: z.string().min(1).max(2000),
    system: z.string().max(2000).default(''),
    maxPromptTokens: maxPromptTokensSchema.default(512),
    maxAnswerTokens: maxNewTokensSchema.default(64),
  }),
  data: z.strictObject({
    source: dataSourceSchema,
    columns: z.strictObject({ input: nameTextSchema, output: nameTextSchema }),
  }),
  model: modelSchema.prefault({
    provider: 'nf4-lora',
    id: 'smollm2-135m-instruct',
    weightFormat: 'nf4',
  }),
  trainer: nameTextSchema.default('nf4-lora'),
  config: trainConfigSchema.prefault({}),
});

export type TrainSpec = z.infer<typeof trainSpecSchema>;
export type TrainSpecInput = z.input<typeof trainSpecSchema>;

import { z } from 'zod';
import { nameTextSchema } from '../common/texts.ts';
import { dataSourceSchema } from './adaptation-spec.ts';
import { maxNewTokensSchema, maxPromptTokensSchema } from '../common/limits.ts';
import { modelSchema } from '../outcome/recipe.ts';
import { trainConfigSchema } from './full-config.ts';

/** What a user writes to have one adapter, or all weights, trained without a ladder: all rows that survive curation are trained on. */
export const trainSpecSchema = z.strictObject({
  /** Version of the format of this spec. */
  specVersion: z.literal(1).default(1),
  /** Name of the task: lower-case letters, digits and hyphens. It is part of the workflow id. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/),
  /** What the model is asked to do. */
  task: z.strictObject({
    /** Instruction that every prompt begins with. */
    instruction: z.string().min(1).max(2000),
    /** System message; empty: none. */
    system: z.string().max(2000).default(''),
    /** Longest prompt in tokens; longer rows are dropped. */
    maxPromptTokens: maxPromptTokensSchema.default(512),
    /** Longest answer in tokens; longer rows are dropped. */
    maxAnswerTokens: maxNewTokensSchema.default(64),
  }),
  /** Rows to train on. */
  data: z.strictObject({
    /** Table with one example a row. */
    source: dataSourceSchema,
    /** Which column is what. */
    columns: z.strictObject({
      /** Column with what the model is given. */
      input: nameTextSchema,
      /** Column with what it should answer. */
      output: nameTextSchema,
    }),
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

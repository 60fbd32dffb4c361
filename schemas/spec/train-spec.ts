import { z } from 'zod';
import { nameTextSchema } from '../common/texts.ts';
import { dataSourceSchema } from './adaptation-spec.ts';
import { modelChoiceSchema, type ModelRef } from '../common/model-ref.ts';
import { taskSchema } from './task.ts';
import { trainConfigSchema } from './full-config.ts';

/** What a user writes to fine-tune with LoRA or full fine-tuning, without a ladder: all rows that curation keeps are trained on. */
export const trainSpecSchema = z.strictObject({
  /** Version of the format of this spec. */
  specVersion: z.literal(1).default(1),
  /** Name of the task: lower-case letters, digits and hyphens. It is part of the workflow id. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/),
  /** What the model is asked to do. */
  task: taskSchema,
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
  /** Model to train. */
  model: modelChoiceSchema.prefault({}),
  /** Trainer. Default: that of the configuration file, else the built-in one. */
  trainer: nameTextSchema.optional(),
  /** Hyper-parameters: of LoRA, or of full fine-tuning with `"method": "full"`. */
  config: trainConfigSchema.prefault({}),
});

/** A spec that the schema has checked: what it leaves to the plugin list is still open. */
export type ParsedTrainSpec = z.infer<typeof trainSpecSchema>;
/** A spec in a plan: model and trainer complete. */
export type TrainSpec = Omit<ParsedTrainSpec, 'model' | 'trainer'> & {
  readonly model: ModelRef;
  readonly trainer: string;
};
export type TrainSpecInput = z.input<typeof trainSpecSchema>;

import { z } from 'zod';
import { artifactRefSchema } from '../../../../schemas/common/artifact-ref.ts';
import { dataProfileSchema } from '../../../../schemas/outcome/data-profile.ts';
import { datasetInputSchema } from '../step-output.ts';

const count = z.int().nonnegative();

/** Rows that splits need; a split of 0 rows is empty. */
export const sizesSchema = z.strictObject({ train: count, dev: count, test: count });

/** Where the dataset came from: for the manifest, and to say which step dropped most when too little is left. */
export const lineageSchema = z.strictObject({
  sourceSha256: z.string().optional(),
  steps: z
    .array(z.strictObject({ step: z.string(), rows: count, dropped: count, dataset: artifactRefSchema }))
    .max(50)
    .default([]),
});

export const splitInputSchema = datasetInputSchema.extend({
  sizes: sizesSchema,
  seed: z.int().min(0).max(2_147_483_647),
  lineage: lineageSchema.optional(),
});

const perSplit = <T extends z.ZodType>(schema: T) =>
  z.strictObject({ train: schema, dev: schema, test: schema });

export const splitOutputSchema = z.strictObject({
  train: artifactRefSchema,
  dev: artifactRefSchema,
  test: artifactRefSchema,
  rows: perSplit(count),
  /** Usable rows that no split took. */
  unused: count,
  /** Sets of rows that may not be divided over splits, and the rows of the largest one. */
  groups: count,
  largestGroup: count,
  manifest: artifactRefSchema,
  contamination: z.strictObject({ checked: count, shared: z.literal(0) }),
  profile: dataProfileSchema,
  sizeBytes: count,
});

export type Lineage = z.infer<typeof lineageSchema>;
export type SplitInput = z.infer<typeof splitInputSchema>;
export type SplitOutput = z.infer<typeof splitOutputSchema>;

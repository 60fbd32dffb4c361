import { z } from 'zod';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { rowCountsSchema } from '../../../schemas/outcome/row-counts.ts';

/** Media type of datasets between steps. */
export const PARQUET_TYPE = 'application/vnd.apache.parquet';

/** Every step that passes a dataset on takes one. */
export const datasetInputSchema = z.strictObject({ dataset: artifactRefSchema });

/**
 * What every step that passes a dataset on reports. `dataset`: Parquet, columns `row`, `id`, `input`, `output` and
 * perhaps `grp`, `category` and `parent`, in the order of `row`. `droppedSamples`: JSON list of at most five dropped rows with the reason.
 */
export const datasetOutputSchema = z.strictObject({
  dataset: artifactRefSchema,
  ...rowCountsSchema.required().shape,
  sizeBytes: z.int().nonnegative(),
});

export type DatasetOutput = z.infer<typeof datasetOutputSchema>;

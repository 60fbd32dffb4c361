import { z } from 'zod';
import { artifactRefSchema } from '../../../../schemas/common/artifact-ref.ts';
import { datasetInputSchema, datasetOutputSchema } from '../step-output.ts';

export const nearDedupeInputSchema = datasetInputSchema.extend({
  /** Jaccard from which two rows are near duplicates. */
  threshold: z.number().min(0.3).max(1).default(0.8),
  /** Compared columns; with both, a row's shingles are those of its input and those of its output. */
  columns: z.enum(['input', 'output', 'both']).default('both'),
  shingle: z
    .strictObject({
      unit: z.enum(['word', 'character']).default('character'),
      size: z.int().min(1).max(32).default(5),
    })
    .prefault({}),
  /** Values of a signature: more of them find more of the pairs and take longer. */
  permutations: z.int().min(16).max(1024).default(128),
  seed: z.int().min(0).max(2_147_483_647).default(1),
});

const count = z.int().nonnegative();

export const nearDedupeOutputSchema = datasetOutputSchema.extend({
  /** Clusters of two or more rows, and the rows of the largest one. */
  clusters: count,
  largestCluster: count,
  /** Rows left when those that differ only in case, white space (and punctuation, for words) are one. */
  distinctTexts: count,
  /** Pairs of distinct texts that were compared, and those of them that were alike. */
  candidates: count,
  verified: count,
  /** Parquet, one row for each dropped row: `row`, `id`, `kept` (the row that stays in its place), `jaccard` of both. */
  matches: artifactRefSchema,
  /** Dropped rows whose output is another one than that of the row that was kept in their place. */
  otherOutputs: count,
});

export type NearDedupeInput = z.infer<typeof nearDedupeInputSchema>;
export type NearDedupeOutput = z.infer<typeof nearDedupeOutputSchema>;

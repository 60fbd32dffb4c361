import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';

/**
 * What a curation step did to the rows: fields in the output of every step kind that declares `countsRows`. Reports show
 * them as the funnel of the data.
 */
export const rowCountsSchema = z.strictObject({
  /** Rows that are passed on, added ones included. */
  rows: z.int().nonnegative(),
  /** Rows that are not passed on. */
  dropped: z.int().nonnegative(),
  /** A few of the dropped rows: a JSON list of `droppedSampleSchema`. */
  droppedSamples: artifactRefSchema.optional(),
});

/** A dropped row: why, and its input, null where the cell was empty. */
export const droppedSampleSchema = z.object({ reason: z.string(), input: z.string().nullable() });

export type RowCounts = Immutable<z.infer<typeof rowCountsSchema>>;
export type DroppedSample = Immutable<z.infer<typeof droppedSampleSchema>>;

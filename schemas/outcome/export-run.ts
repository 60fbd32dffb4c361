/** What the pipeline of an export returns. */
import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';
import { exportFormatSchema } from '../spec/export-format.ts';

/** How far an export is from base and adapter. */
export const driftSchema = z.strictObject({
  rows: z.int(),
  equalAnswers: z.int(),
  logProbDifferenceNats: z.number().nullable(),
});

/** An exported model. */
export const exportedModelSchema = z.strictObject({
  /** A file, or a packed folder. */
  export: artifactRefSchema,
  form: z.enum(['file', 'folder']),
  format: exportFormatSchema,
  /** SHA-256 of the weights file; for shards, of their `sha256sum` listing. */
  sha256: z.string(),
  sizeBytes: z.int(),
  /** Layers that the adapter changed. */
  merged: z.int(),
  /** Null when nothing was compared. */
  drift: driftSchema.nullable(),
});

/** Outputs by node. */
export interface ExportOutcome {
  readonly export: Immutable<z.infer<typeof exportedModelSchema>>;
}

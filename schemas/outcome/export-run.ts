/** What the pipeline of an export returns: types only. */
import type { ArtifactRef } from '../common/artifact-ref.ts';
import type { ExportFormat } from '../spec/export-format.ts';

export interface ExportOutcome {
  readonly export: {
    /** A file, or a packed folder. */
    readonly export: ArtifactRef;
    readonly form: 'file' | 'folder';
    readonly format: ExportFormat;
    /** SHA-256 of the weights file; for shards, of their `sha256sum` listing. */
    readonly sha256: string;
    readonly sizeBytes: number;
    /** Layers that the adapter changed. */
    readonly merged: number;
    /** How far the export is from base and adapter; null when nothing was compared. */
    readonly drift: {
      readonly rows: number;
      readonly equalAnswers: number;
      readonly logProbDifferenceNats: number | null;
    } | null;
  };
}

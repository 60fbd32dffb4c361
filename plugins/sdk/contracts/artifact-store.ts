import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';

/** Immutable bytes by digest, plus a small cache of finished actions and scratch folders of running steps. */
export interface ArtifactStoreV1 {
  readonly specificationVersion: 'v1';
  /** Folders that hold the files of `localPath` and `localFolder`: what a sandboxed reader must be allowed to open. */
  readonly localRoots: readonly string[];
  /** Stores bytes; storing the same bytes twice is free. */
  putBytes(bytes: Uint8Array, mediaType: string): Promise<ArtifactRef>;
  putJson(value: unknown): Promise<ArtifactRef>;
  /** Copies a file in; the file stays where it is. */
  putFile(path: string, mediaType: string): Promise<ArtifactRef>;
  /** Packs every file of a folder (deterministically) into one artifact. */
  putFolder(path: string): Promise<ArtifactRef>;
  /** Path of a read-only local copy. Throws `ARTIFACT_MISSING`, or `ARTIFACT_DAMAGED` when the bytes do not fit the digest. */
  localPath(ref: ArtifactRef): Promise<string>;
  /** Path of a local folder that holds the files packed by `putFolder`; they are read-only. */
  localFolder(ref: ArtifactRef): Promise<string>;
  readBytes(ref: ArtifactRef): Promise<Buffer>;
  readJson(ref: ArtifactRef): Promise<unknown>;
}

import { artifactRefSchema, type ArtifactRef } from '../../../schemas/common/artifact-ref.ts';

/** Every artifact reference inside a value. */
export function referencesIn(value: unknown): ArtifactRef[] {
  const parsed = artifactRefSchema.safeParse(value);
  if (parsed.success) return [parsed.data];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(referencesIn);
}

/** The references inside a value, each once. */
export function uniqueReferences(value: unknown): ArtifactRef[] {
  return [...new Map(referencesIn(value).map((ref) => [ref.sha256 + ref.mediaType, ref])).values()];
}

import { z } from 'zod';

/** Immutable bytes in the artifact store, named by their SHA-256. */
export const artifactRefSchema = z.strictObject({
  uri: z
    .string()
    .max(80)
    .regex(/^artifact:sha256:[0-9a-f]{64}$/),
  sha256: z
    .string()
    .max(64)
    .regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.int().nonnegative(),
  mediaType: z.string().min(1).max(200),
});

export type ArtifactRef = z.infer<typeof artifactRefSchema>;

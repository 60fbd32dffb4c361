import { z } from 'zod';

/** Immutable bytes in the artifact store, named by their SHA-256. */
export const artifactRefSchema = z.strictObject({
  /** `artifact:sha256:` and the digest. */
  uri: z
    .string()
    .max(80)
    .regex(/^artifact:sha256:[0-9a-f]{64}$/),
  /** SHA-256 of the bytes. */
  sha256: z
    .string()
    .max(64)
    .regex(/^[0-9a-f]{64}$/),
  /** Size. */
  sizeBytes: z.int().nonnegative(),
  /** Media type. */
  mediaType: z.string().min(1).max(200),
});

export type ArtifactRef = z.infer<typeof artifactRefSchema>;

/** References to artifacts, and what a store says of one that it does not have as referred to. */
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { EscadaFailure } from '../contracts/failure.ts';

/** Longest JSON that is parsed: a string of more characters could not hold it. */
const MAX_JSON_BYTES = 256 * 1024 * 1024;

/** The reference to bytes with this digest. */
export function toRef(sha256: string, sizeBytes: number, mediaType: string): ArtifactRef {
  return { uri: `artifact:sha256:${sha256}`, sha256, sizeBytes, mediaType };
}

/** The failure `ARTIFACT_MISSING`. `location`: where the store is. */
export function missingArtifact(ref: ArtifactRef, location: string): EscadaFailure {
  return new EscadaFailure({
    code: 'ARTIFACT_MISSING',
    message: `Artifact ${ref.uri} is not in the store at ${location}. Start the run again: the step that makes it runs again.`,
    fields: { uri: ref.uri },
  });
}

/** The failure `ARTIFACT_DAMAGED`. */
export function damagedArtifact(ref: ArtifactRef, why: string): EscadaFailure {
  return new EscadaFailure({
    code: 'ARTIFACT_DAMAGED',
    message: `Artifact ${ref.uri} is damaged: ${why}. Start the run again: the step that makes it writes it again.`,
    fields: { uri: ref.uri },
  });
}

/** Checks what becomes a part of names and paths. Throws `ARTIFACT_DAMAGED`. */
export function requireDigest(ref: ArtifactRef): void {
  if (!/^[0-9a-f]{64}$/.test(ref.sha256))
    throw damagedArtifact(ref, 'its digest is not 64 hexadecimal digits');
}

/** Parses an artifact's JSON; `read` is called when it is not too long. Throws `ARTIFACT_DAMAGED`. */
export async function parseArtifact(ref: ArtifactRef, read: () => Promise<Buffer>): Promise<unknown> {
  if (ref.sizeBytes > MAX_JSON_BYTES) throw damagedArtifact(ref, `it has more than ${MAX_JSON_BYTES} bytes`);
  const bytes = await read();
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw damagedArtifact(ref, `it is not JSON (${String(cause).slice(0, 200)})`);
  }
}

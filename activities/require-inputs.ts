import { EscadaFailure, isEscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import type { JsonObject } from '../schemas/common/json.ts';
import type { ArtifactObjectsV1 } from '../plugins/sdk/contracts/artifact-store.ts';
import { referencesIn } from '../plugins/sdk/store/references.ts';

/**
 * Checks before a step starts that everything it refers to is in the store and whole. Throws `ARTIFACT_MISSING` or
 * `ARTIFACT_DAMAGED` that names the step. A run that is started again makes it again: a stored result counts only as
 * long as all of its artifacts are there.
 */
export async function requireInputs(
  store: ArtifactObjectsV1,
  input: JsonObject,
  nodeId: string,
): Promise<void> {
  for (const ref of referencesIn(input)) {
    try {
      await store.localPath(ref);
    } catch (cause) {
      if (!isEscadaFailure(cause)) throw cause;
      const message = `Step ${nodeId} cannot start. ${cause.message}`;
      throw new EscadaFailure({
        code: cause.code,
        message,
        fields: { ...cause.fields, step: nodeId },
        cause,
      });
    }
  }
}

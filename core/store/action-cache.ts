/** The action cache over a store: what counts as the finished action of a key. */
import type { JsonObject } from '../../schemas/common/json.ts';
import { canonicalJson } from '../../plugins/sdk/canonical-json.ts';
import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { sha256OfBytes } from '../../plugins/sdk/publish.ts';
import { referencesIn } from '../../plugins/sdk/store/references.ts';
import type { ValueSchema } from '../../plugins/sdk/contracts/value-schema.ts';
import { checkValue } from '../../plugins/sdk/schema-check/check-value.ts';

/** What a step gave. */
export interface FinishedAction {
  readonly output: JsonObject;
  /** Wall seconds of the attempt that made it. */
  readonly seconds: number;
}

/** What a stored action has to be: of this kind, under this key, with an output that the kind could have made. */
export interface ActionIdentity {
  readonly kind: string;
  readonly key: string;
  readonly outputSchema: ValueSchema<JsonObject>;
}

/** What the result of an action depends on. */
export interface ActionFacts {
  /** Step kind, `name@major`. */
  readonly kind: string;
  readonly input: JsonObject;
  /** Versions of the plugins whose code it runs, by name. */
  readonly plugins: Readonly<Record<string, string>>;
  /** Whatever else: the kind's own salt. */
  readonly salt: string;
}

/** Key of an action: equal for equal facts, whatever the order of their fields. */
export function actionKey({ kind, input, plugins, salt }: ActionFacts): string {
  return sha256OfBytes(canonicalJson({ kind, input, plugins, salt }));
}

/**
 * Reads a finished action. Null when there is none, when one of its artifacts is gone or damaged, and when what is
 * stored is another action's: the step then runs again and stores it again.
 */
export async function readAction(
  store: ArtifactStoreV1,
  identity: ActionIdentity,
): Promise<FinishedAction | null> {
  const action = await store.getAction(identity.key);
  if (action?.kind !== identity.kind || action.key !== identity.key) return null;
  const output = checkValue(identity.outputSchema, action.output);
  if (!output.success) return null;
  for (const ref of referencesIn(output.data)) if (!(await store.has(ref))) return null;
  return { output: output.data, seconds: action.seconds };
}

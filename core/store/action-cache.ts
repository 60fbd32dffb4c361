import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { JsonObject } from '../../schemas/common/json.ts';
import { publishFile, sha256OfBytes } from '../../plugins/sdk/publish.ts';
import type { FileStore } from './file-store.ts';
import { markUsed } from './last-use.ts';
import { referencesIn } from './references.ts';
import { canonicalJson } from '../../plugins/sdk/canonical-json.ts';

export interface FinishedAction {
  readonly output: JsonObject;
  /** Wall seconds of the run that made it. */
  readonly seconds: number;
}

/** What an action file has to be: of this kind, under this key, with an output that the kind could have made. */
export interface ActionIdentity {
  readonly kind: string;
  readonly key: string;
  readonly outputSchema: z.ZodType<JsonObject>;
}

const actionSchema = z.strictObject({
  kind: z.string(),
  key: z.string(),
  output: z.record(z.string(), z.json()),
  seconds: z.number().nonnegative(),
});

/** Key of an action: kind with version, canonical input, and whatever else its result depends on. */
export function actionKey(kind: string, input: JsonObject, salt: string): string {
  return sha256OfBytes(canonicalJson({ kind, input, salt }));
}

/**
 * Reads a finished action. Null when there is none, when one of its artifacts is gone or damaged, and when the file is
 * torn or another action's: the step then runs again and writes it again.
 */
export async function readAction(
  store: FileStore,
  path: string,
  identity: ActionIdentity,
): Promise<FinishedAction | null> {
  const action = parseAction(await readFile(path, 'utf8').catch(() => ''));
  if (action?.kind !== identity.kind || action.key !== identity.key) return null;
  const output = identity.outputSchema.safeParse(action.output);
  if (!output.success) return null;
  // Marked first: whoever cleans up looks at the mark right before it removes something.
  await markUsed(path);
  for (const ref of referencesIn(output.data)) if (!(await store.holds(ref))) return null;
  return { output: output.data, seconds: action.seconds };
}

function parseAction(text: string): z.infer<typeof actionSchema> | null {
  try {
    return actionSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

export async function writeAction(
  path: string,
  { kind, key }: ActionIdentity,
  { output, seconds }: FinishedAction,
): Promise<void> {
  await publishFile(path, canonicalJson({ kind, key, output, seconds }));
}

export function cachePath(store: FileStore, key: string): string {
  return join(store.root, 'actions', `${key}.json`);
}

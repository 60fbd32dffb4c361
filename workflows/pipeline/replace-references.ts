import type { JsonValue } from '../../schemas/common/json.ts';
import { resolveReferences, type Scope } from '../../schemas/plan/references.ts';
import { fail } from '../shared/fail.ts';

/** Replaces every reference in a value. Throws `INVALID_SPEC` that names `where` when one leads nowhere. */
export function replaceReferences(value: JsonValue, scope: Scope, where: string): JsonValue {
  try {
    return resolveReferences(value, scope);
  } catch (error) {
    throw fail('INVALID_SPEC', `${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

import type { JsonObject } from '../schemas/common/json.ts';
import { usageSchema, type Usage } from '../schemas/outcome/usage.ts';

/**
 * What a step itself used; null for one that passes nothing through a model. A step that is given `usage` hands on what
 * another step used, which is counted there. Registration has made sure that a field `usage` is one.
 */
export function stepUsage(input: JsonObject, output: JsonObject): Usage | null {
  return input['usage'] === undefined ? (usageSchema.safeParse(output['usage']).data ?? null) : null;
}

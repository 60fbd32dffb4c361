import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import { literalIn, parseReference, resolveReferences } from '../../schemas/plan/references.ts';

/** Values of references, as far as they are known before a plan runs. */
export interface KnownValues {
  readonly inputs: JsonObject;
  /** Item of a map whose list is in the spec, for the steps of its body. */
  readonly item?: JsonValue;
}

/** A value whose references to known values are replaced; undefined in place of those that only a run knows. */
type Known = JsonValue | undefined | readonly Known[] | { readonly [key: string]: Known };

/**
 * A step's options as far as they are known when its plan is compiled: as they are written, without the defaults of the
 * kind's schema, and with `undefined` wherever a reference names something that only a run knows.
 */
export function knownOptions(options: JsonObject, known: KnownValues): { readonly [key: string]: Known } {
  return knownValue(options, known) as { readonly [key: string]: Known };
}

function knownValue(value: JsonValue, known: KnownValues): Known {
  if (typeof value === 'string') return knownText(value, known);
  if (typeof value !== 'object' || value === null) return value;
  const inner = literalIn(value);
  if (inner !== undefined) return inner;
  if (Array.isArray(value)) return value.map((member: JsonValue) => knownValue(member, known));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, knownValue(member, known)]));
}

function knownText(text: string, known: KnownValues): Known {
  const reference = parseReference(text);
  if (reference === null) return text;
  if (typeof reference === 'string' || reference.root === 'nodes') return undefined;
  try {
    return resolveReferences(text, { ...known, nodes: {} });
  } catch {
    return undefined;
  }
}

/**
 * References inside step options. Pure, without zod: the compiler checks them and workflow code replaces them.
 * A reference is a whole string `${inputs.a.b}`, `${item}`, `${item.a}` or `${nodes.<id>.output.a.b}`. The value of
 * `{"$literal": …}` is taken as it is: a user's text, which may hold `${` and is never read as a reference.
 */
import type { JsonObject, JsonValue } from '../common/json.ts';

const LITERAL = '$literal';

/** An object whose only member is `$literal`. */
function isLiteral(value: JsonValue): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.hasOwn(value, LITERAL) &&
    Object.keys(value).length === 1
  );
}

/** The value of a literal; undefined for any other value. */
export function literalIn(value: unknown): JsonValue | undefined {
  return isLiteral(value as JsonValue) ? (value as JsonObject)[LITERAL] : undefined;
}

/**
 * Marks a value of a user's spec for a plan: it comes out of `resolveReferences` as it went in, whatever its texts hold.
 * A value that cannot be mistaken stays as it is. Typed as the value, which is what the step gets.
 */
export function literal<T>(value: T): T {
  return isMistakable(value as JsonValue) ? ({ [LITERAL]: value } as T) : value;
}

function isMistakable(value: JsonValue): boolean {
  if (typeof value === 'string') return value.includes('${');
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, LITERAL) || Object.values(value).some(isMistakable);
}

/** A value as its step gets it, but for the references. */
export function withoutLiterals(value: JsonValue): JsonValue {
  return mapValue(value, (text) => text);
}

/** Every text outside literals changed, and literals opened. */
function mapValue(value: JsonValue, change: (text: string) => JsonValue): JsonValue {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((member: JsonValue) => mapValue(member, change));
  if (isLiteral(value)) return value[LITERAL] ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapValue(member, change)]));
}

const REFERENCE = /^\$\{([^}]*)\}$/;

export type Reference =
  | { readonly root: 'inputs' | 'item'; readonly path: readonly string[] }
  | { readonly root: 'nodes'; readonly node: string; readonly path: readonly string[] };

/** Values that references may name. */
export interface Scope {
  readonly inputs: { readonly [key: string]: JsonValue };
  readonly item?: JsonValue;
  /** Outputs of finished nodes. */
  readonly nodes: { readonly [id: string]: JsonValue };
}

/** Reads a string as a reference; null when it is plain text; a message when it is neither. */
export function parseReference(text: string): Reference | string | null {
  const inner = REFERENCE.exec(text)?.[1];
  if (inner === undefined) {
    return text.includes('${')
      ? `"${text}" must be one whole reference; a text that is none goes into {"${LITERAL}": …}`
      : null;
  }
  const [root, ...path] = inner.split('.');
  if (path.some((part) => part === '')) return `"${text}" has an empty part`;
  if (root === 'inputs' && path.length > 0) return { root, path };
  if (root === 'item') return { root, path };
  if (root === 'nodes' && path.length >= 2 && path[1] === 'output') {
    return { root, node: path[0] ?? '', path: path.slice(2) };
  }
  return `"${text}" is not one of \${inputs.…}, \${item…}, \${nodes.<id>.output…}`;
}

/** Every string of a value with its path, but for those in literals. */
export function stringsIn(
  value: JsonValue,
  path: readonly string[] = [],
): { readonly text: string; readonly path: readonly string[] }[] {
  if (typeof value === 'string') return [{ text: value, path }];
  if (typeof value !== 'object' || value === null || isLiteral(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => stringsIn(member, [...path, key]));
}

/** The value that a path leads to; undefined when it leads nowhere. Own members only. */
function follow(value: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part)) return undefined;
    current = (current as { readonly [key: string]: JsonValue })[part];
  }
  return current;
}

/** Replaces every reference in a value. Throws an `Error` that names the reference when it leads nowhere. */
export function resolveReferences(value: JsonValue, scope: Scope): JsonValue {
  return mapValue(value, (text) => resolveText(text, scope));
}

function resolveText(text: string, scope: Scope): JsonValue {
  const reference = parseReference(text);
  if (reference === null) return text;
  if (typeof reference === 'string') throw new Error(reference);
  const start =
    reference.root === 'nodes'
      ? scope.nodes[reference.node]
      : reference.root === 'item'
        ? scope.item
        : (scope.inputs as JsonValue);
  const found = follow(start, reference.path);
  if (found === undefined) throw new Error(`${text} leads to nothing`);
  return found;
}

/**
 * References inside step options. Pure, without zod: the compiler checks them and workflow code replaces them.
 * A reference is a whole string `${inputs.a.b}`, `${item}`, `${item.a}` or `${nodes.<id>.output.a.b}`.
 */
import type { JsonValue } from '../common/json.ts';

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
  if (inner === undefined) return text.includes('${') ? `"${text}" must be one whole reference` : null;
  const [root, ...path] = inner.split('.');
  if (path.some((part) => part === '')) return `"${text}" has an empty part`;
  if (root === 'inputs' && path.length > 0) return { root, path };
  if (root === 'item') return { root, path };
  if (root === 'nodes' && path.length >= 2 && path[1] === 'output') {
    return { root, node: path[0] ?? '', path: path.slice(2) };
  }
  return `"${text}" is not one of \${inputs.…}, \${item…}, \${nodes.<id>.output…}`;
}

/** Every string of a value with the path where it stands. */
export function stringsIn(
  value: JsonValue,
  path: readonly string[] = [],
): { readonly text: string; readonly path: readonly string[] }[] {
  if (typeof value === 'string') return [{ text: value, path }];
  if (typeof value !== 'object' || value === null) return [];
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
  if (typeof value === 'string') return resolveText(value, scope);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((member: JsonValue) => resolveReferences(member, scope));
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, resolveReferences(member, scope)]),
  );
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

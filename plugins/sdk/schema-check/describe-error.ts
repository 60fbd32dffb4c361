/** Errors of ajv as sentences about the user's own fields. */
import type { ErrorObject } from 'ajv/dist/2020.js';
import { nearest } from '../../../schemas/common/nearest.ts';
import type { JsonSchema } from '../contracts/value-schema.ts';
import type { SchemaIssue } from '../issues.ts';
import { isRecord, oneOf, quoted, typeName } from './phrases.ts';

/** Characters of a name that a path shows. */
const MAX_NAME_LENGTH = 60;

/** One error of ajv as an issue; `at` is where the checked value is in the whole, `hints` whether names are guessed. */
export function describeError(
  error: ErrorObject,
  raw: unknown,
  at: { readonly root: JsonSchema; readonly path: SchemaIssue['path'] },
  hints: boolean,
): SchemaIssue {
  const { keyword, params, parentSchema = {}, data } = error;
  const path = [...at.path, ...pathOf(error.instancePath, raw)];
  if (error.propertyName !== undefined) return badName(error, path);
  const limit = Number(params['limit']);
  switch (keyword) {
    case 'required': {
      const key = String(params['missingProperty']);
      const wanted = (parentSchema['properties'] as Readonly<Record<string, JsonSchema>> | undefined)?.[key];
      const type = typeName(wanted);
      return issue([...path, key], `is missing${type === null ? '' : `; ${type} is expected`}.`);
    }
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = String(params['additionalProperty'] ?? params['unevaluatedProperty']);
      const message = hints ? unknownField(key, parentSchema, at.root) : 'is not a known field.';
      return { path: [...path, key], message, unknownField: true };
    }
    case 'type':
      return issue(path, `is ${quoted(data)}, not ${typeName(parentSchema) ?? String(params['type'])}.`);
    case 'const':
      return issue(path, oneOf(data, [params['allowedValue']]));
    case 'enum':
      return issue(path, oneOf(data, params['allowedValues'] as readonly unknown[]));
    case 'minimum':
      return issue(path, `is ${quoted(data)}; the minimum is ${limit}.`);
    case 'maximum':
      return issue(path, `is ${quoted(data)}; the maximum is ${limit}.`);
    case 'exclusiveMinimum':
      return issue(path, `is ${quoted(data)}; it must be above ${limit}.`);
    case 'exclusiveMaximum':
      return issue(path, `is ${quoted(data)}; it must be below ${limit}.`);
    case 'minLength':
      return issue(
        path,
        data === '' ? 'is empty.' : `is ${quoted(data)}; at least ${limit} characters are needed.`,
      );
    case 'maxLength':
      return issue(path, `has ${String(data).length} characters; the maximum is ${limit}.`);
    case 'minItems':
    case 'minProperties':
      return issue(path, `has ${sizeOf(data)} entries; the minimum is ${limit}.`);
    case 'maxItems':
    case 'maxProperties':
      return issue(path, `has ${sizeOf(data)} entries; the maximum is ${limit}.`);
    case 'pattern':
      return issue(path, `is ${quoted(data)}, which does not match ${String(params['pattern'])}.`);
    default:
      return issue(path, `${error.message ?? 'is not valid'}.`);
  }
}

/** A member whose name is not possible. */
function badName(
  { keyword, params, propertyName = '' }: ErrorObject,
  path: SchemaIssue['path'],
): SchemaIssue {
  const why =
    keyword === 'pattern'
      ? `it does not match ${String(params['pattern'])}`
      : `${keyword} ${params['limit']}`;
  return issue([...path, propertyName.slice(0, MAX_NAME_LENGTH)], `is not a possible name: ${why}.`);
}

/** An issue with a value. */
export const issue = (path: SchemaIssue['path'], message: string): SchemaIssue => ({
  path,
  message,
  unknownField: false,
});

const sizeOf = (data: unknown): number =>
  Array.isArray(data) ? data.length : Object.keys(data as object).length;

/** With the field that was most likely meant: one of this place, else one of any place. */
function unknownField(key: string, { properties = {} }: JsonSchema, root: JsonSchema): string {
  const guess = nearest(key, Object.keys(properties as object)) ?? nearest(key, allNames(root));
  if (guess === key) return 'is not a known field here.';
  return `is not a known field.${guess === null ? '' : ` Did you mean "${guess}"?`}`;
}

const names = new WeakMap<object, readonly string[]>();

function allNames(root: JsonSchema): readonly string[] {
  const known = names.get(root) ?? [...new Set(propertyNames(root))];
  names.set(root, known);
  return known;
}

/** Every property name of a JSON Schema. */
function propertyNames(schema: unknown): string[] {
  if (!isRecord(schema)) return Array.isArray(schema) ? schema.flatMap(propertyNames) : [];
  return Object.entries(schema).flatMap(([key, member]) =>
    key === 'properties' && isRecord(member)
      ? [...Object.keys(member), ...Object.values(member).flatMap(propertyNames)]
      : propertyNames(member),
  );
}

/** A JSON pointer as a path of the value it points into. */
export function pathOf(pointer: string, value: unknown): (string | number)[] {
  let inner = value;
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      const step = Array.isArray(inner) ? Number(key) : key;
      inner = (inner as Record<string | number, unknown> | undefined)?.[step];
      return step;
    });
}

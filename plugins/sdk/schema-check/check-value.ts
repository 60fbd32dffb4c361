import { z } from 'zod';
import type { JsonSchema, ValueSchema } from '../contracts/value-schema.ts';
import { formatIssues, type SchemaIssue } from '../issues.ts';
import { fillDefaults, jsonSchemaErrors } from './json-schema.ts';
import { schemaIssues } from './schema-issues.ts';

/** A checked value with its defaults, or what is wrong with it. */
export type CheckedValue<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly issues: readonly SchemaIssue[] };

/** JSON Schemas emitted from zod schemas; null for one that JSON Schema cannot express. */
const emitted = new WeakMap<z.ZodType, JsonSchema | null>();

/**
 * Checks a value that came as JSON, in two stages. First by ajv against the JSON Schema that is published, or emitted, for
 * editors and other languages: so that document is the contract, and whatever the product accepts also passes there. Then
 * by zod, which fills in defaults and checks what JSON Schema cannot say: rules between fields.
 */
export function checkValue<T>(schema: ValueSchema<T>, raw: unknown): CheckedValue<T> {
  if (!isZod(schema)) return checkPlain<T>(schema, raw);
  const json = jsonSchemaOf(schema);
  const issues = json === null ? [] : schemaIssues(json, raw);
  if (issues.length > 0) return { success: false, issues };
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed;
  return { success: false, issues: parsed.error.issues.flatMap(fromZod) };
}

/** What is wrong with a value; empty when nothing is. */
export function issuesOf(schema: ValueSchema, raw: unknown): readonly SchemaIssue[] {
  const checked = checkValue(schema, raw);
  return checked.success ? [] : checked.issues;
}

/** As `checkValue`, for a value that only a bug makes wrong. Throws a `TypeError` with every issue. */
export function parseValue<T>(schema: ValueSchema<T>, raw: unknown): T {
  const checked = checkValue(schema, raw);
  if (checked.success) return checked.data;
  throw new TypeError(formatIssues(checked.issues, 'the value'));
}

/** The JSON Schema of what a user writes; null when zod cannot express it or ajv does not accept it. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema | null {
  const known = emitted.get(schema);
  if (known !== undefined) return known;
  const json = emit(schema);
  emitted.set(schema, json);
  return json;
}

function emit(schema: z.ZodType): JsonSchema | null {
  try {
    const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
    jsonSchemaErrors(json, {});
    return json;
  } catch {
    // zod checks the whole value anyway.
    return null;
  }
}

function checkPlain<T>(schema: JsonSchema, raw: unknown): CheckedValue<T> {
  const issues = schemaIssues(schema, raw);
  if (issues.length > 0) return { success: false, issues };
  const data = structuredClone(raw);
  fillDefaults(schema, data);
  return { success: true, data: data as T };
}

function isZod<T>(schema: ValueSchema<T>): schema is z.ZodType<T> {
  return typeof (schema as { readonly safeParse?: unknown }).safeParse === 'function';
}

/** Refinements say in their message what is wrong; their place is the issue's. */
function fromZod(issue: z.core.$ZodIssue): SchemaIssue[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message, unknownField: false }];
  return issue.keys.map((key) => ({
    path: [...path, key],
    message: 'is not a known field.',
    unknownField: true,
  }));
}

import type { ErrorObject } from 'ajv/dist/2020.js';
import type { SchemaIssue } from '../issues.ts';
import { describeError, issue, pathOf } from './describe-error.ts';
import { hasType, isRecord, oneOf, quoted, typeName } from './phrases.ts';
import type { JsonSchema } from '../contracts/value-schema.ts';
import { jsonSchemaErrors } from './json-schema.ts';

/** Issues after which the rest of a value is not explained any more. */
const MAX_ISSUES = 1000;

/** Unknown fields for which a known one is guessed: guesses cost time, and only the first issues are shown. */
const MAX_HINTS = 50;

interface Place {
  /** The whole schema, for references and for names in other places. */
  readonly root: JsonSchema;
  readonly path: SchemaIssue['path'];
}

/** What a JSON Schema finds wrong with a value, one issue per place; unions are explained by their closest branch. */
export function schemaIssues(root: JsonSchema, value: unknown): SchemaIssue[] {
  return issuesAt(root, value, { root, path: [] });
}

function issuesAt(schema: JsonSchema, value: unknown, place: Place): SchemaIssue[] {
  let issues: (SchemaIssue & { readonly under: string })[] = [];
  for (const error of jsonSchemaErrors(schema, value)) {
    const { instancePath: under, keyword } = error;
    if (issues.length >= MAX_ISSUES) break;
    if (keyword === 'anyOf' || keyword === 'oneOf') {
      // The errors of the branches came before: one branch speaks for all.
      issues = issues.filter((one) => one.under !== under && !one.under.startsWith(`${under}/`));
      const at = { ...place, path: [...place.path, ...pathOf(under, value)] };
      issues.push(...unionIssues(error, at).map((one) => ({ ...one, under })));
    } else if (keyword !== 'propertyNames') {
      const hints = issues.length < MAX_HINTS;
      issues.push({ ...describeError(error, value, place, hints), under });
    }
  }
  return withoutRepeats(issues);
}

/** One sentence per place: a value of the wrong type also misses the bounds of the right one. */
function withoutRepeats(issues: readonly SchemaIssue[]): SchemaIssue[] {
  const seen = new Set<string>();
  return issues.flatMap(({ path, message, unknownField }) => {
    const key = JSON.stringify(path);
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ path, message, unknownField }];
  });
}

/** The branch that a value was most likely meant for: by its discriminator, else the one with the fewest issues. */
function unionIssues({ schema, data }: ErrorObject, place: Place): SchemaIssue[] {
  const branches = schema as readonly JsonSchema[];
  const constants = branches.map((branch) => branch['const']);
  if (constants.every((one) => one !== undefined)) return [issue(place.path, oneOf(data, constants))];
  const tagged = discriminated(branches, data, place);
  if (tagged !== null) return tagged;
  const results = branches.map((branch) => branchIssues(branch, data, place));
  // A branch of another type was not meant, unless all are.
  const candidates = results.filter(
    (issues) => !issues.some(({ path }) => path.length === place.path.length),
  );
  const [best] = candidates.sort((a, b) => a.length - b.length);
  if (best !== undefined) return best;
  const types = [...new Set(branches.flatMap((branch) => typeName(branch) ?? []))];
  const sameType = results.filter((_, index) => hasType(data, branches[index])).flat();
  if (sameType.length > 0) return sameType;
  return [
    issue(
      place.path,
      types.length === 0 ? 'is not valid.' : `is ${quoted(data)}, not ${types.join(' or ')}.`,
    ),
  ];
}

/** Branches carry the definitions that they refer to. */
function branchIssues(branch: JsonSchema, data: unknown, place: Place): SchemaIssue[] {
  return issuesAt(withDefinitions(branch, place.root), data, place);
}

const joined = new WeakMap<object, JsonSchema>();

function withDefinitions(branch: JsonSchema, root: JsonSchema): JsonSchema {
  const known = joined.get(branch);
  if (known !== undefined) return known;
  const { $defs } = root;
  const whole = $defs === undefined ? branch : { ...branch, $defs };
  joined.set(branch, whole);
  return whole;
}

/** Issues of the branch that a discriminator names; null when the union has none. */
function discriminated(branches: readonly JsonSchema[], data: unknown, place: Place): SchemaIssue[] | null {
  if (!isRecord(data)) return null;
  const properties = branches.map(
    (branch) => (branch['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>,
  );
  const key = Object.keys(properties[0] ?? {}).find((name) =>
    properties.every((one) => one[name]?.['const'] !== undefined),
  );
  if (key === undefined) return null;
  const constants = properties.map((one) => one[key]?.['const']);
  const given = data[key] ?? properties.find((one) => one[key]?.['default'] !== undefined)?.[key]?.['const'];
  // A branch that does not require its tag is the one of values without a tag.
  const branch =
    branches[constants.indexOf(given)] ??
    branches.find(({ required }) => data[key] === undefined && !((required ?? []) as string[]).includes(key));
  if (branch !== undefined) return branchIssues(branch, data, place);
  return [issue([...place.path, key], oneOf(data[key], constants))];
}

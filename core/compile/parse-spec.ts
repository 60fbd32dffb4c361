import { z } from 'zod';
import { nearest } from '../../schemas/common/nearest.ts';
import { adaptationSpecSchema, type AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import { describeIssue, formatPath } from '../../plugins/sdk/issues.ts';
import { IssueList } from './issue-list.ts';
import { refuseOversize } from './refuse-oversize.ts';

/** Every property name of a JSON Schema, for "did you mean". */
function propertyNames(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, member]) =>
    key === 'properties' && typeof member === 'object' && member !== null
      ? [...Object.keys(member as object), ...Object.values(member as object).flatMap(propertyNames)]
      : propertyNames(member),
  );
}

/** Unknown fields for which a known one is guessed. */
const MOST_HINTS = 50;

let knownNames: readonly string[] | undefined;

function suggestion(key: string): string {
  knownNames ??= [...new Set(propertyNames(z.toJSONSchema(adaptationSpecSchema, { io: 'input' })))];
  const guess = nearest(key, knownNames);
  return guess === null ? '' : ` Did you mean "${guess}"?`;
}

/** Checks a raw value against the schema of adaptation specs. Throws `INVALID_SPEC` with every issue and its path. */
export function parseAdaptationSpec(raw: unknown): AdaptationSpec {
  refuseOversize(raw);
  const issues = new IssueList();
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw) || Object.keys(raw).length === 0) {
    issues.add(
      'spec',
      'is empty: give one JSON object with at least "name", "task", "data", "target" and "budget".',
    );
    issues.throwIfAny();
  }
  const parsed = adaptationSpecSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) addIssue(issues, issue, raw);
  issues.throwIfAny();
  throw parsed.error;
}

function addIssue(issues: IssueList, issue: z.core.$ZodIssue, raw: unknown): void {
  const path = formatPath(issue.path);
  if (issue.code !== 'unrecognized_keys') {
    issues.add(path || 'spec', describeIssue(issue, raw));
    return;
  }
  for (const key of issue.keys) {
    // Guesses cost time, and only the first issues are shown.
    const hint = issues.issues.length < MOST_HINTS ? suggestion(key) : '';
    issues.add(path === '' ? key : `${path}.${key}`, `is not a known field.${hint}`);
  }
}

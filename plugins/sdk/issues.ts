import type { z } from 'zod';

/** Path of an issue as a user would write it: `data.columns.input`, `nodes[2].uses`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

const TYPES: Readonly<Record<string, string>> = {
  number: 'a number',
  int: 'a whole number',
  string: 'text in quotes',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
};
const MAX_SHOWN_LENGTH = 60;

/** What is wrong at an issue's place, with what was written there: `is "0,8", not a number`. `raw` is what was parsed. */
export function describeIssue(issue: z.core.$ZodIssue, raw: unknown): string {
  const expected = issue.code === 'invalid_type' ? TYPES[issue.expected] : undefined;
  if (expected === undefined) return issue.message;
  const given = issue.path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as never)[key] : undefined),
    raw,
  );
  if (given === undefined) return `is missing; ${expected} is expected.`;
  const shown = JSON.stringify(given);
  return `is ${shown.length > MAX_SHOWN_LENGTH ? `${shown.slice(0, MAX_SHOWN_LENGTH)}…` : shown}, not ${expected}.`;
}

/** All issues of a zod error in one line each, with paths. `root` names the whole when the path is empty. */
export function formatIssues(error: z.ZodError, root: string): string {
  return error.issues.map((issue) => `${formatPath(issue.path) || root}: ${issue.message}`).join('; ');
}

import type { z } from 'zod';

/** Path of an issue as a user would write it: `data.columns.input`, `nodes[2].uses`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

/** All issues of a zod error in one line each, with paths. `root` names the whole when the path is empty. */
export function formatIssues(error: z.ZodError, root: string): string {
  return error.issues.map((issue) => `${formatPath(issue.path) || root}: ${issue.message}`).join('; ');
}

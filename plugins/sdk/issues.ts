/** Path of an issue as a user would write it: `data.columns.input`, `nodes[2].uses`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Whether the field itself is unknown; its value was not looked at. */
  readonly unknownField: boolean;
}

/** All issues in one line, with paths. `root` names the whole where a path is empty. */
export function formatIssues(issues: readonly SchemaIssue[], root: string): string {
  return issues.map(({ path, message }) => `${formatPath(path) || root}: ${message}`).join('; ');
}

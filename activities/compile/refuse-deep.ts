import type { IssueList } from './issue-list.ts';

/** Levels of objects and lists in a spec; written ones have about ten. */
export const MAX_DEPTH = 64;

/**
 * Adds an issue when a value is nested deeper than `MAX_DEPTH`: what walks through specs calls itself for each level.
 * Returns whether it was. Does not call itself.
 */
export function refuseDeep(raw: unknown, issues: IssueList): boolean {
  let level: unknown[] = [raw];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) {
      issues.add('spec', `is nested more than ${MAX_DEPTH} levels deep`);
      return true;
    }
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? (Object.values(value) as unknown[]) : [],
    );
  }
  return false;
}

import { beyondBounds } from '../../schemas/spec/spec-bounds.ts';
import { IssueList } from './issue-list.ts';

/**
 * Throws `INVALID_SPEC` for a spec that is too deep or too large, before anything else looks at it: what walks through
 * specs calls itself for each level, and no check may take longer than a moment.
 */
export function refuseOversize(raw: unknown): void {
  const why = beyondBounds(raw);
  if (why === null) return;
  const issues = new IssueList();
  issues.add('spec', why);
  issues.throwIfAny();
}

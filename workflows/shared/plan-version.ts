import { INTERPRETER_VERSION } from '../../schemas/plan/constants.ts';
import { fail } from './fail.ts';

/** What a compiler stamps and what one run hands to the next. */
interface Versioned {
  readonly interpreterVersion: number;
}

/**
 * Throws `PLAN_VERSION_UNSUPPORTED` for a plan of another version: what it means may have changed, and a run that
 * guesses would end as a failed Workflow Task that nobody understands.
 */
export function requireVersion(what: string, { interpreterVersion }: Versioned): void {
  if (interpreterVersion === INTERPRETER_VERSION) return;
  const versions = `version ${interpreterVersion} of the interpreter; this worker has version ${INTERPRETER_VERSION}`;
  throw fail('PLAN_VERSION_UNSUPPORTED', `${what} is for ${versions}. Start the run again.`);
}

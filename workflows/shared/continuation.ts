import { allHandlersFinished, condition, workflowInfo } from '@temporalio/workflow';
import { CONTINUE_AT_BYTES, CONTINUE_AT_EVENTS } from '../../schemas/plan/constants.ts';
import { fail } from './fail.ts';

/** Thrown through the work of a run that continues as new. Nothing has failed: what was not started yet is left to the next run. */
export class Handover extends Error {
  constructor() {
    super('The run continues as new.');
    this.name = 'Handover';
  }
}

/**
 * Decides when a run continues as new: when the server suggests it, or at a bound of its own, but never while something
 * holds it here (a person who is asked). Once that is decided it stays so: work that is left behind waits for the next run.
 */
export class Continuation {
  readonly #held: () => boolean;
  #admitted = 0;
  #due = false;

  constructor(held: () => boolean) {
    this.#held = held;
  }

  /** Whether nothing is to be started any more. A run starts something first: a large state alone may reach the bound. */
  get due(): boolean {
    this.#due ||= this.#admitted > 0 && !this.#held() && isLong();
    return this.#due;
  }

  /** To be called before anything is started. Throws `Handover` when it is to be left to the next run. */
  admit(): void {
    if (this.due) throw new Handover();
    this.#admitted += 1;
  }
}

/** Whether a history is as long as one run may make it: as the server suggests, or by its events or bytes. */
export function isLong({ continueAsNewSuggested, historyLength, historySize } = workflowInfo()): boolean {
  return continueAsNewSuggested || historyLength >= CONTINUE_AT_EVENTS || historySize >= CONTINUE_AT_BYTES;
}

/**
 * What the run before has handed to this one; null in the first run of a chain, and in one that starts afresh. Whoever
 * starts a run can send a second argument, too: throws `INVALID_SPEC`.
 */
export function handedOver<T>(carried: T | null | undefined): T | null {
  if (carried === undefined || carried === null) return null;
  if (workflowInfo().continuedFromExecutionRunId !== undefined) return carried;
  throw fail(
    'INVALID_SPEC',
    'A run takes one argument, its spec. The second is only for runs that continue another.',
  );
}

/**
 * Does work that may be left to the next run of the chain, and then starts that run: `next` continues as new, once the
 * updates that came in meanwhile are answered.
 */
export async function orContinue<T>(work: () => Promise<T>, next: () => Promise<never>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Handover)) throw error;
    await condition(allHandlersFinished);
    return await next();
  }
}

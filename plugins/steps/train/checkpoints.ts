import { EscadaFailure } from '../../sdk/contracts/failure.ts';

/** Attempts in a row that may end without a new checkpoint before a training is given up. */
export const MAX_ATTEMPTS_WITHOUT_PROGRESS = 8;

/**
 * How many of the newest attempts ended no further than all before them: one that dies before it takes over a checkpoint
 * has none, and the next is not ahead because it has one again. `steps`: newest complete checkpoint of each earlier
 * attempt, newest attempt first; 0: none.
 */
export function attemptsWithoutProgress(steps: readonly number[]): number {
  const progressed = steps.findIndex((step, at) => step > Math.max(0, ...steps.slice(at + 1)));
  return progressed < 0 ? steps.length : progressed;
}

/** Throws `TRAINING_NO_PROGRESS` when too many attempts in a row got no further. */
export function requireProgress(steps: readonly number[]): void {
  const attempts = attemptsWithoutProgress(steps);
  if (attempts < MAX_ATTEMPTS_WITHOUT_PROGRESS) return;
  const message = `${attempts} attempts in a row ended before a new checkpoint was complete; ${steps.length} attempts in all. The failures before this one say why.`;
  throw new EscadaFailure({ code: 'TRAINING_NO_PROGRESS', message, fields: { attempts } });
}

import type { Decision } from '../../schemas/adapt/candidate.ts';

/** The decision as a headline and what the verdict means. */
export interface Headline {
  readonly advice: string;
  readonly meaning: string;
}

/** Says in plain words what to do, and how sure one may be. */
export function headline({ rung, verdict }: Decision): Headline {
  switch (verdict) {
    case 'target-met':
      return {
        advice: `Use ${rung}: it meets the target.`,
        meaning:
          'Even the lower bound of its interval on the test rows, which nothing was chosen on, reaches the target.',
      };
    case 'target-not-confirmed':
      return {
        advice: `${rung} is the best found, but the target is not confirmed.`,
        meaning:
          'It met the target on the dev rows; on the test rows its lower bound does not reach it. More rows narrow the interval.',
      };
    case 'target-not-met':
      return {
        advice: `${rung} is the best found; the target was not met.`,
        meaning:
          'Every eligible rung was climbed. More or better rows, a larger model or a lower target are what is left.',
      };
    case 'release-rejected':
      return {
        advice: `${rung} was not released.`,
        meaning: 'What was measured stands; a person decided against using it.',
      };
    case 'budget-exhausted':
      return {
        advice: `${rung} is the best that the budget allowed.`,
        meaning:
          'The climb stopped for want of time, not of ideas: a larger budget may find something better.',
      };
  }
}

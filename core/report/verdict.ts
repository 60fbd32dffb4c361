import type { BudgetUnit } from '../../schemas/outcome/decision.ts';
import type { ReportData } from './report-data.ts';

/** The decision as a headline, what the verdict means, and what had to be done without. */
export interface Headline {
  readonly advice: string;
  readonly meaning: string;
  /** Rungs and finalists that failed; empty when none did. */
  readonly without: string;
}

type Decided = Pick<ReportData, 'decision' | 'rungs' | 'path' | 'test'>;

/** Says in plain words what to do, and how sure one may be. */
export function headline(data: Decided): Headline {
  return { ...verdictText(data), without: failedText(data) };
}

function verdictText(data: Decided): Omit<Headline, 'without'> {
  const { rung, verdict } = data.decision;
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
          'Its lower bound reaches the target on the dev rows or on the test rows, but not with what choosing on the one demands of the other. More rows narrow the interval.',
      };
    case 'target-not-met':
      return {
        advice: `${rung} is the best found; the target was not met.`,
        meaning:
          'The flowchart leads to no further rung. More or better rows, a larger model or a lower target are what is left.',
      };
    case 'release-rejected':
      return {
        advice: `${rung} was not released.`,
        meaning: 'The measurements are valid; a person decided against using the winner.',
      };
    case 'budget-exhausted':
      return {
        advice: `The budget ran out: ${rung} is the best found.`,
        meaning: `The budget of ${scarce(data)} ran out before every eligible rung was measured. A larger one may find something better.`,
      };
  }
}

const SCARCE: Readonly<Record<BudgetUnit, string>> = { seconds: 'time', tokens: 'tokens' };

/** What the budget ran out of: what cut a rung off, or what the last question found too little of. */
function scarce({ rungs, path }: Decided): string {
  const cutOff = rungs.find((one) => one.outcome === 'cut-off');
  if (cutOff !== undefined) return SCARCE[cutOff.by];
  const refusals = path.flatMap(({ comparisons }) => comparisons.filter(({ holds }) => !holds));
  const last = refusals.findLast(({ fact }) => fact.startsWith('budget.'));
  return SCARCE[last?.fact === 'budget.tokensLeft' ? 'tokens' : 'seconds'];
}

function failedText({ rungs, test }: Decided): string {
  const unmeasured = rungs.flatMap((one) =>
    one.outcome === 'failed' ? [`${one.rung} failed (${one.code}) and was not measured`] : [],
  );
  const tests = test.failed.map(({ rung, code }) => `${rung} could not be scored on the test rows (${code})`);
  const all = [...unmeasured, ...tests];
  return all.length === 0 ? '' : `${all.join('; ')}. The decision is between the others.`;
}

import type { Registry } from '../../plugins/host/registry.ts';
import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { TestResult } from '../../schemas/outcome/decision.ts';
import type { DecideInput, DecideResult, ScoredFinalist } from '../../schemas/plan/control-activities.ts';
import { rowStatistics } from './judge-rung.ts';
import {
  correctedLow as lowAmong,
  pairedBootstrap,
  type BootstrapOptions,
  type ResampleWork,
} from './statistics/index.ts';
import { byCost } from './by-cost.ts';
import { verdictOnTest, verdictText, type VerdictFacts } from './verdict-on-test.ts';

type Paired = { readonly delta: number; readonly low: number; readonly high: number };

/**
 * Decides on the test rows, which nothing was chosen on before: the cheapest finalist that is not worse than the best
 * by more than the margin wins. The verdict is that of `verdictOnTest`.
 */
export async function decide(
  input: DecideInput,
  deps: { readonly store: ArtifactStoreV1; readonly registry: Registry },
  work?: ResampleWork,
): Promise<DecideResult> {
  const metric = deps.registry.metric(input.primary);
  const aggregate = (sums: readonly number[]) => metric.doAggregate(sums);
  const compare = async (winner: ScoredFinalist, other: ScoredFinalist): Promise<Paired> =>
    await pairedBootstrap(
      {
        ...input.statistics,
        aggregate,
        a: await rowStatistics(deps.store, other.score),
        b: await rowStatistics(deps.store, winner.score),
      },
      work,
    );
  const best = [...input.finalists].sort((a, b) => b.score.value - a.score.value)[0];
  if (best === undefined)
    throw new EscadaFailure({ code: 'INTERNAL', message: 'There is no finalist to decide on.' });
  const winner = await cheapestSufficient(best, input, compare, deps.registry);
  const comparisons: TestResult['comparisons'][number][] = [];
  for (const other of input.finalists.filter((one) => one !== winner)) {
    const { delta, low, high } = await compare(winner, other);
    comparisons.push({ rung: winner.candidate.rung, against: other.candidate.rung, delta, low, high });
  }
  const rows = await rowStatistics(deps.store, winner.score);
  const facts = await verdictFacts(winner, input, { rows, aggregate }, work);
  const verdict = verdictOnTest(facts);
  return {
    decision: {
      rung: winner.candidate.rung,
      candidateId: winner.candidate.id,
      verdict,
      reason: reasonFor(winner, best, verdictText(verdict, facts), input, comparisons),
    },
    test: {
      metric: best.score.metric,
      candidates: input.finalists.map(asTestCandidate),
      failed: input.failed,
      comparisons,
    },
  };
}

function asTestCandidate({ candidate, score }: ScoredFinalist): TestResult['candidates'][number] {
  const { value, low, high, n } = score;
  return { id: candidate.id, rung: candidate.rung, value, low, high, n, score };
}

async function cheapestSufficient(
  best: ScoredFinalist,
  input: DecideInput,
  compare: (winner: ScoredFinalist, other: ScoredFinalist) => Promise<Paired>,
  registry: Registry,
): Promise<ScoredFinalist> {
  for (const finalist of byCost(input.finalists, registry)) {
    if (finalist === best) return best;
    if ((await compare(finalist, best)).low >= -input.nonInferiorityMargin) return finalist;
  }
  return best;
}

/** What the verdict rests on; the correction is only looked for where it counts. */
async function verdictFacts(
  { score }: ScoredFinalist,
  input: DecideInput,
  resampling: Pick<BootstrapOptions, 'rows' | 'aggregate'>,
  work?: ResampleWork,
): Promise<VerdictFacts> {
  const { reached, target, statistics, finalists } = input;
  const { low } = score;
  const decided = reached === 'target-met' || low < target;
  const correctedLow = decided
    ? low
    : await lowAmong({ ...statistics, ...resampling, tried: finalists.length }, work);
  return { reached, target, low, correctedLow: Math.min(low, correctedLow) };
}

const show = (value: number): string => value.toFixed(3);

/** Measured tokens of an answer. */
function tokensText({ score: { usage, n } }: ScoredFinalist): string {
  const each = (sum: number): string => (sum / Math.max(1, n)).toFixed(1);
  return `${each(usage.promptTokens)} prompt and ${each(usage.completionTokens)} completion tokens per answer`;
}

function reasonFor(
  winner: ScoredFinalist,
  best: ScoredFinalist,
  verdict: string,
  input: DecideInput,
  comparisons: TestResult['comparisons'],
): string {
  const { score, candidate } = winner;
  const scored = `${score.metric} ${show(score.value)} (${show(score.low)} to ${show(score.high)}, ${score.n} test rows)`;
  const cheaper =
    winner === best
      ? ''
      : ` It is cheaper to run than ${best.candidate.rung} (${tokensText(winner)} against ${tokensText(best)}) and not worse by more than ${input.nonInferiorityMargin}.`;
  const gains = comparisons.map(
    ({ against, delta, low, high }) => `${against} ${show(delta)} (${show(low)} to ${show(high)})`,
  );
  const against = gains.length === 0 ? '' : ` Difference on the same rows from ${gains.join(', ')}.`;
  return `${candidate.rung} scores ${scored} and ${verdict}.${cheaper}${against}`;
}

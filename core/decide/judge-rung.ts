import type { Registry } from '../../plugins/host/registry.ts';
import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { MeasuredCandidate, Score } from '../../schemas/outcome/candidate.ts';
import type { CandidateCost, MeasuredRecord } from '../../schemas/outcome/decision.ts';
import type { JudgeRungInput, JudgeRungResult } from '../../schemas/plan/control-activities.ts';
import { correctedLevel, correctedLow, pairedBootstrap, type ResampleWork } from './statistics/index.ts';

type Rows = readonly (readonly number[])[];

/** Sufficient statistics of every scored row. */
export async function rowStatistics(store: ArtifactStoreV1, score: Pick<Score, 'statistics'>): Promise<Rows> {
  return (await store.readJson(score.statistics)) as Rows;
}

/**
 * Judges a rung's best candidate: its lower bound after the correction for every candidate compared on dev so far, and
 * the paired difference from the best before it. It takes the lead only when that difference is real.
 */
export async function judgeRung(
  input: JudgeRungInput,
  deps: { readonly store: ArtifactStoreV1; readonly registry: Registry },
  work?: ResampleWork,
): Promise<JudgeRungResult> {
  const candidate = input.output.candidates[0];
  if (candidate === undefined) {
    throw new EscadaFailure({ code: 'INTERNAL', message: `Rung ${input.rung} ended without a candidate.` });
  }
  const metric = deps.registry.metric(input.primary);
  const tried = input.triedBefore + input.output.tried;
  const shared = { ...input.statistics, aggregate: (sums: readonly number[]) => metric.doAggregate(sums) };
  const rows = await rowStatistics(deps.store, candidate.dev);
  // The difference is corrected like the bound: this rung's candidate was chosen among several on these very rows.
  const level = correctedLevel(input.statistics.level, tried);
  const gain =
    input.best === null
      ? null
      : await pairedBootstrap(
          { ...shared, level, a: await rowStatistics(deps.store, input.best.dev), b: rows },
          work,
        );
  const { metric: name, value, low, high, n } = candidate.dev;
  const record: Omit<MeasuredRecord, 'reason'> = {
    outcome: 'measured',
    rung: input.rung,
    metric: name,
    value,
    low,
    high,
    correctedLow: await correctedLow({ ...shared, rows, tried }, work),
    n,
    tried,
    seconds: input.seconds,
    candidateId: candidate.id,
    gain:
      gain === null || input.best === null
        ? null
        : { against: input.best.id, delta: gain.delta, low: gain.low, high: gain.high },
    cost: costOf(candidate),
    diagnostics: candidate.diagnostics,
    skipped: input.output.skipped,
  };
  const leads = gain === null || gain.low > 0;
  const reason = `${reasonFor(record, leads, input.target)}${diagnosticsText(record)}${skippedText(record)}`;
  return { record: { ...record, reason }, candidate, leads };
}

const show = (value: number): string => value.toFixed(3);

/** What a candidate costs, as answering the dev rows and its training say. */
export function costOf({ dev, training }: Pick<MeasuredCandidate, 'dev' | 'training'>): CandidateCost {
  const { promptTokens, completionTokens, seconds } = dev.usage;
  const peaks = [dev.usage.peakMemoryBytes, training?.usage.peakMemoryBytes ?? null];
  const known = peaks.filter((bytes) => bytes !== null);
  const charged = [dev.usage.costUsd, training?.usage.costUsd].filter((cost) => cost !== undefined);
  return {
    promptTokens,
    completionTokens,
    trainingTokens: training?.usage.trainingTokens ?? 0,
    secondsPerAnswer: seconds / Math.max(1, dev.n),
    peakMemoryBytes: known.length === 0 ? null : Math.max(...known),
    ...(charged.length === 0 ? {} : { costUsd: charged.reduce((sum, cost) => sum + cost, 0) }),
  };
}

/** Figures of the diagnostics, with what they rest on. */
function diagnosticsText({ diagnostics }: Pick<MeasuredRecord, 'diagnostics'>): string {
  const figures = diagnostics.flatMap(({ title, value }) =>
    value === undefined ? [] : [`${title} ${show(value)}`],
  );
  return figures.length === 0 ? '' : ` ${figures.join(', ')}.`;
}

function skippedText({ skipped }: Pick<MeasuredRecord, 'skipped'>): string {
  return skipped.map(({ name, reason }) => ` ${name} was left out: ${reason}.`).join('');
}

function reasonFor(record: Omit<MeasuredRecord, 'reason'>, leads: boolean, target: number): string {
  const { gain, correctedLow } = record;
  const reached = correctedLow >= target;
  const bound = `its lower bound ${show(correctedLow)} (corrected for ${record.tried} tried) ${reached ? 'reaches' : 'is below'} the target ${show(target)}`;
  if (gain === null) return `First rung: ${record.metric} ${show(record.value)}; ${bound}.`;
  const interval = `${show(gain.low)} to ${show(gain.high)}`;
  if (!leads) {
    return `The difference from ${gain.against} is ${show(gain.delta)} (${interval}), which may be chance: ${gain.against} stays the best.`;
  }
  return `Better than ${gain.against} by ${show(gain.delta)} (${interval}); ${bound}.`;
}

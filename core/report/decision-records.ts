/** Tables of how every rung fared on the dev rows, in every format of the report. */
import type { DecisionRecord } from '../../schemas/outcome/decision.ts';
import { bytes, dollars, interval, perAnswer, seconds, show, signed, unscored } from './text.ts';

type Cells = (string | number)[];

/** Names of the columns; `metric` is the primary one. */
export function recordHead(metric: string): string[] {
  return ['rung', metric, 'interval', 'corrected bound', 'rows', 'tried', 'took', 'gain'];
}

/** The row of a rung. */
export function recordCells(one: DecisionRecord): Cells {
  if (one.outcome !== 'measured')
    return [one.rung, unscored(one), '–', '–', '–', '–', seconds(one.seconds), '–'];
  return [
    one.rung,
    show(one.value),
    interval(one),
    show(one.correctedLow),
    one.n,
    one.tried,
    seconds(one.seconds),
    one.gain === null ? '–' : `${signed(one.gain.delta)} (${interval(one.gain)}) against ${one.gain.against}`,
  ];
}

/** Names of the columns of what the candidates cost; money only where a provider charges it. */
export function recordCostHead(records: readonly DecisionRecord[]): string[] {
  return isCharged(records) ? [...COST_HEAD, 'cost'] : [...COST_HEAD];
}

const isCharged = (records: readonly DecisionRecord[]): boolean =>
  records.some((one) => one.outcome === 'measured' && one.cost.costUsd !== undefined);

const COST_HEAD = [
  'candidate',
  'prompt tokens',
  'completion tokens',
  'training tokens',
  'seconds per answer',
  'peak memory',
] as const;

/** What the candidate of every measured rung costs: tokens of answering the dev rows and of its training. */
export function recordCosts(records: readonly DecisionRecord[]): Cells[] {
  const charged = isCharged(records);
  return records.flatMap((one) => {
    if (one.outcome !== 'measured') return [];
    const { promptTokens, completionTokens, trainingTokens, secondsPerAnswer, peakMemoryBytes, costUsd } =
      one.cost;
    const peak = peakMemoryBytes === null ? '–' : bytes(peakMemoryBytes);
    const tokens = [promptTokens, completionTokens, trainingTokens];
    const money = charged ? [costUsd === undefined ? '–' : dollars(costUsd)] : [];
    return [[one.candidateId, ...tokens, perAnswer(secondsPerAnswer), peak, ...money]];
  });
}

/** Names of the columns of what was diagnosed. */
export const DIAGNOSTICS_HEAD = ['candidate', 'what', 'value', 'from'] as const;

/** What was measured about the candidates beside their scores. */
export function recordDiagnostics(records: readonly DecisionRecord[]): Cells[] {
  return records.flatMap((one) =>
    one.outcome !== 'measured'
      ? []
      : one.diagnostics.map(({ title, value, details }) => [
          one.candidateId,
          title,
          value === undefined ? '–' : show(value),
          Object.entries(details)
            .map(([name, detail]) => `${name} ${detail}`)
            .join(', '),
        ]),
  );
}

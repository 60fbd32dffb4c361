import type { AdaptationOutcome, DecisionRecord, MeasuredRecord } from '../../schemas/outcome/decision.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import { table } from './terminal.ts';

/** The figures of a finished run, as text. */
export function renderOutcome(outcome: AdaptationOutcome): string {
  const score = (one: { value: number; low: number; high: number }) => [
    one.value.toFixed(3),
    `${one.low.toFixed(3)}–${one.high.toFixed(3)}`,
  ];
  const rungs = outcome.rungs.map((one) => [
    one.rung,
    ...(one.outcome === 'measured' ? [...score(one), String(one.n)] : [...withoutScore(one), '']),
    `${one.seconds.toFixed(0)} s`,
  ]);
  const metric = outcome.test.metric;
  const tests = [
    ...outcome.test.candidates.map((one) => [one.rung, ...score(one), String(one.n)]),
    ...outcome.test.failed.map(({ rung, code }) => [rung, 'failed', code, '']),
  ];
  const against = outcome.test.comparisons.map(
    (one) =>
      `  ${one.rung} − ${one.against}: ${one.delta.toFixed(3)} (${one.low.toFixed(3)} to ${one.high.toFixed(3)})`,
  );
  return [
    `Dev scores (${metric}, interval by bootstrap over rows)`,
    table([['rung', 'score', 'interval', 'rows', 'took'], ...rungs]),
    '',
    'Test scores (rows nothing was chosen on)',
    table([['rung', 'score', 'interval', 'rows'], ...tests]),
    ...against,
    '',
    `Decision: ${outcome.decision.rung} (${outcome.decision.verdict})`,
    `  ${outcome.decision.reason}`,
  ].join('\n');
}

/** What is shown in the place of score and interval. */
const withoutScore = (one: Exclude<DecisionRecord, MeasuredRecord>): string[] =>
  one.outcome === 'failed' ? ['failed', one.code] : ['cut off', `budget of ${one.by}`];

/** The machine-readable line of `--json`. */
export function outcomeJson(
  outcome: AdaptationOutcome,
  extra: { readonly reportPath: string; readonly setUpSeconds: number; readonly runSeconds: number },
): string {
  const { decision, test } = outcome;
  // The strongest rival: the comparison with the smallest difference.
  const rival = [...test.comparisons].sort((a, b) => a.delta - b.delta)[0];
  const round = (value: number) => Math.round(value * 1e6) / 1e6;
  return JSON.stringify({
    decision: { rung: decision.rung, verdict: decision.verdict, reason: decision.reason },
    rungs: outcome.rungs.map((one) => rungJson(one, round)),
    test: {
      metric: test.metric,
      candidates: test.candidates.map(({ rung, value, low, high, n }) => ({ rung, value, low, high, n })),
      failed: test.failed.map(({ rung, code, message }) => ({ rung, code, message })),
      paired:
        rival === undefined
          ? null
          : { against: rival.against, delta: rival.delta, low: rival.low, high: rival.high },
    },
    reportPath: extra.reportPath,
    workflowId: outcome.workflowId,
    seconds: { setUp: round(extra.setUpSeconds), run: round(extra.runSeconds) },
  });
}

function rungJson(record: DecisionRecord, round: (value: number) => number): JsonObject {
  const { rung, outcome } = record;
  const seconds = round(record.seconds);
  if (outcome === 'failed') return { rung, outcome, code: record.code, message: record.message, seconds };
  if (outcome === 'cut-off') return { rung, outcome, by: record.by, seconds };
  const { metric, value, low, high, n } = record;
  return { rung, outcome, metric, value: round(value), low: round(low), high: round(high), n, seconds };
}

import type { AdaptationOutcome } from '../../schemas/adapt/candidate.ts';
import { table } from './terminal.ts';

/** The figures of a finished run, as text. */
export function renderOutcome(outcome: AdaptationOutcome): string {
  const score = (one: { value: number; low: number; high: number }) => [
    one.value.toFixed(3),
    `${one.low.toFixed(3)}–${one.high.toFixed(3)}`,
  ];
  const rungs = outcome.rungs.map((one) => [
    one.rung,
    ...score(one),
    String(one.n),
    `${one.seconds.toFixed(0)} s`,
  ]);
  const tests = outcome.test.candidates.map((one) => [one.rung, ...score(one), String(one.n)]);
  const against = outcome.test.comparisons.map(
    (one) =>
      `  ${one.rung} − ${one.against}: ${one.delta.toFixed(3)} (${one.low.toFixed(3)} to ${one.high.toFixed(3)})`,
  );
  return [
    `Dev scores (${outcome.rungs[0]?.metric ?? ''}, interval by bootstrap over rows)`,
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
    rungs: outcome.rungs.map(({ rung, metric, value, low, high, n, seconds }) => ({
      rung,
      metric,
      value: round(value),
      low: round(low),
      high: round(high),
      n,
      seconds: round(seconds),
    })),
    test: {
      metric: test.metric,
      candidates: test.candidates.map(({ rung, value, low, high, n }) => ({ rung, value, low, high, n })),
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

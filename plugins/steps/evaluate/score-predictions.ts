import { z } from 'zod';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { MetricV1 } from '../../sdk/contracts/metric.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { levelSchema, resamplesSchema, seedSchema } from '../../../schemas/common/limits.ts';
import { scoreSchema } from '../../../schemas/outcome/candidate.ts';
import { usageSchema } from '../../../schemas/outcome/usage.ts';
import { readJsonl, type Prediction } from '../../sdk/jsonl.ts';
import { Slices } from '../../sdk/slices.ts';
import { bootstrapInterval } from '../../../core/decide/statistics/index.ts';

const metricSchema = z.strictObject({
  id: z.string().min(1),
  with: z.record(z.string(), z.json()).default({}),
});

const withSchema = z.strictObject({
  predictions: artifactRefSchema,
  usage: usageSchema,
  metrics: z.strictObject({ primary: metricSchema, secondary: z.array(metricSchema).max(8) }),
  statistics: z.strictObject({
    level: levelSchema,
    resamples: resamplesSchema,
    seed: seedSchema,
  }),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof scoreSchema>;

/** Most rows that are scored: ten times what an adaptation spec can ask for. */
const MAX_SCORED_ROWS = 100_000;

/** Sufficient statistics of every row. */
async function statisticsOf(
  metric: MetricV1,
  rows: readonly Prediction[],
  context: StepContext,
): Promise<readonly (readonly number[])[]> {
  const onProgress = (done: number): void => context.heartbeat({ kind: 'score', metric: metric.id, done });
  const named = rows.map(({ id, input, prediction, reference }) => ({ id, input, prediction, reference }));
  if (metric.doRows !== undefined) return await metric.doRows(named, { signal: context.signal, onProgress });
  const slices = new Slices(context.signal);
  const statistics: (readonly number[])[] = [];
  for (const row of named) {
    statistics.push(metric.doRow(row));
    if (statistics.length % 1000 === 0) onProgress(statistics.length);
    await slices.turn();
  }
  return statistics;
}

function refuseTooMany(rows: number): void {
  if (rows <= MAX_SCORED_ROWS) return;
  throw new EscadaFailure({
    code: 'INVALID_SPEC',
    message: `score.predictions: there are ${rows} answers; at most ${MAX_SCORED_ROWS} are scored at once. Answer a sample of the rows.`,
    fields: { rows, most: MAX_SCORED_ROWS },
  });
}

/** Sums row statistics column by column. */
export function sumRows(rows: readonly (readonly number[])[]): number[] {
  const sums = new Array<number>(rows[0]?.length ?? 0).fill(0);
  for (const row of rows) row.forEach((value, column) => (sums[column] = (sums[column] ?? 0) + value));
  return sums;
}

async function run(input: With, context: StepContext): Promise<Output> {
  const rows = await readJsonl<Prediction>(context.store, input.predictions);
  refuseTooMany(rows.length);
  const primary = context.metric(input.metrics.primary);
  const statistics = await statisticsOf(primary, rows, context);
  const estimate = await bootstrapInterval(
    { rows: statistics, aggregate: (sums) => primary.doAggregate(sums), ...input.statistics },
    {
      signal: context.signal,
      onProgress: (done, total) => context.heartbeat({ kind: 'bootstrap', done, total }),
    },
  );
  const secondary: Output['secondary'] = [];
  for (const choice of input.metrics.secondary) {
    const metric = context.metric(choice);
    const value = metric.doAggregate(sumRows(await statisticsOf(metric, rows, context)));
    secondary.push({ metric: choice.id, value });
  }
  return {
    metric: primary.id,
    value: estimate.value,
    low: estimate.low,
    high: estimate.high,
    n: estimate.n,
    statistics: await context.store.putJson(statistics),
    secondary,
    predictions: input.predictions,
    usage: input.usage,
  };
}

/** Scores predictions with every metric of the spec; the primary one gets a bootstrap interval over rows. */
export const scorePredictions: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'score.predictions@1',
  title: 'Score answers',
  resource: 'cpu',
  retry: 'idempotentWrite',
  cacheable: true,
  startToCloseTimeoutMs: 1_800_000,
  heartbeatTimeoutMs: 10_000,
  withSchema: withSchema,
  outputSchema: scoreSchema,
  names: { 'metrics.primary.id': 'metrics', 'metrics.secondary.id': 'metrics' },
  summarize: () => 'score the answers',
  doRun: run,
};

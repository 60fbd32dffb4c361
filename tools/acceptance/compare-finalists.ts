import { pairedBootstrap } from '../../core/decide/statistics/index.ts';
import type { ArtifactObjectsV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { createProjectHost } from '../../plugins.ts';
import type { AdaptationSpecInput } from '../../schemas/spec/adaptation-spec.ts';
import type { Estimate } from '../../schemas/outcome/candidate.ts';
import type { AdaptationOutcome } from '../../schemas/outcome/decision.ts';

interface Difference {
  readonly delta: number;
  readonly low: number;
  readonly high: number;
}

/** What one seed showed on its test rows. */
export interface SeedResult {
  readonly seed: number;
  readonly metric: string;
  /** Test score of each rung's best candidate, by rung. */
  readonly scores: { readonly [rung: string]: Estimate };
  /** PEFT minus the named rung, on the same rows. */
  readonly paired: { readonly [rung: string]: Difference };
  readonly decision: string;
  readonly seconds: number;
  /** Both paired intervals lie above zero. */
  readonly passed: boolean;
}

const RIVALS = ['icl', 'zero-shot'] as const;

/** Compares PEFT with the other finalists whoever won, with the statistics the run itself used. */
export async function compareFinalists(
  seed: number,
  outcome: AdaptationOutcome,
  spec: AdaptationSpecInput,
  store: ArtifactObjectsV1,
): Promise<SeedResult> {
  const host = createProjectHost();
  try {
    const primary = spec.metrics?.primary ?? { id: outcome.test.metric };
    const metric = host.registry.metric({ id: primary.id, with: primary.with ?? {} });
    const rowsOf = async (rung: string) => {
      const candidate = outcome.test.candidates.find((one) => one.rung === rung);
      return candidate && ((await store.readJson(candidate.score.statistics)) as number[][]);
    };
    const peft = await rowsOf('peft');
    const paired: Record<string, Difference> = {};
    for (const rung of RIVALS) {
      const rival = await rowsOf(rung);
      if (peft === undefined || rival === undefined) continue;
      const { level, resamples } = spec.statistics ?? {};
      const aggregate = (sums: readonly number[]) => metric.doAggregate(sums);
      const options = { a: rival, b: peft, aggregate, level, resamples, seed };
      const { delta, low, high } = await pairedBootstrap(options);
      paired[rung] = { delta, low, high };
    }
    const scores = outcome.test.candidates.map(
      ({ rung, value, low, high, n }) => [rung, { value, low, high, n }] as const,
    );
    return {
      seed,
      metric: outcome.test.metric,
      scores: Object.fromEntries(scores),
      paired,
      decision: `${outcome.decision.rung} (${outcome.decision.verdict})`,
      seconds: outcome.seconds,
      passed: RIVALS.every((rung) => (paired[rung]?.low ?? -1) > 0),
    };
  } finally {
    await host.close();
  }
}

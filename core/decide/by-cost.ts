import { DEFAULT_TOKENS_PER_SECOND } from '../../plugins/sdk/contracts/language-model.ts';
import type { Registry } from '../../plugins/host/registry.ts';
import type { ScoredFinalist } from '../../schemas/plan/control-activities.ts';

/**
 * Seconds of an answer: the tokens measured on test at the provider's declared speeds. Measured seconds would let the load
 * of a machine decide, and equal runs could end differently.
 */
export function costPerAnswer({ candidate, score }: ScoredFinalist, registry: Registry): number {
  const provider = registry.providers.get(candidate.model.provider);
  const speed = provider.assumedTokensPerSecond ?? DEFAULT_TOKENS_PER_SECOND;
  const { promptTokens, completionTokens } = score.usage;
  return (promptTokens / speed.prompt + completionTokens / speed.generate) / Math.max(1, score.n);
}

/** Finalists, the cheapest one first; of equals the one whose rung has the earlier place. */
export function byCost(finalists: readonly ScoredFinalist[], registry: Registry): ScoredFinalist[] {
  const place = ({ order }: ScoredFinalist): number => order ?? Number.POSITIVE_INFINITY;
  return finalists
    .map((finalist) => ({ finalist, cost: costPerAnswer(finalist, registry) }))
    .sort((a, b) => a.cost - b.cost || comparePlaces(place(a.finalist), place(b.finalist)))
    .map(({ finalist }) => finalist);
}

/** Two rungs without a place are equal, which a difference of infinities would not say. */
const comparePlaces = (a: number, b: number): number => (a === b ? 0 : a - b);

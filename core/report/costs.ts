import type { TestResult } from '../../schemas/outcome/decision.ts';

/** What a finalist's answers cost and how good they are, both measured on the test rows. */
export interface CostPoint {
  readonly rung: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** Wall seconds of generation, divided by the answers. */
  readonly secondsPerAnswer: number;
  readonly promptTokensPerAnswer: number;
  readonly completionTokensPerAnswer: number;
  readonly winner: boolean;
  /** No other finalist is at least as good and at least as cheap, and better in one of the two. */
  readonly bestForSeconds: boolean;
  readonly bestForTokens: boolean;
}

type Bare = Omit<CostPoint, 'bestForSeconds' | 'bestForTokens'>;
type Cost = (point: Bare) => number;

function isOnFront(point: Bare, all: readonly Bare[], cost: Cost): boolean {
  return !all.some(
    (other) =>
      cost(other) <= cost(point) &&
      other.value >= point.value &&
      (cost(other) < cost(point) || other.value > point.value),
  );
}

/** The finalists as points of quality against cost, with the Pareto front of either cost marked. */
export function costPoints(test: TestResult, winnerId: string): CostPoint[] {
  const bare = test.candidates.map(({ id, rung, value, low, high, n, score }): Bare => {
    const each = (sum: number) => sum / Math.max(1, n);
    return {
      rung,
      value,
      low,
      high,
      n,
      secondsPerAnswer: each(score.usage.seconds),
      promptTokensPerAnswer: each(score.usage.promptTokens),
      completionTokensPerAnswer: each(score.usage.completionTokens),
      winner: id === winnerId,
    };
  });
  return bare.map((point) => ({
    ...point,
    bestForSeconds: isOnFront(point, bare, (one) => one.secondsPerAnswer),
    bestForTokens: isOnFront(point, bare, (one) => one.promptTokensPerAnswer),
  }));
}

import type { AdaptationSpecInput } from '../../schemas/spec/adaptation-spec.ts';

/** Numbers of a spec that the command line may give. */
export interface SpecNumbers {
  readonly seed?: number;
  /** Score of the primary metric, 0 to 1. */
  readonly target?: number;
  /** Seconds for the whole run. */
  readonly budget?: number;
}

/** A spec with the numbers that were given; a limit of tokens beside the seconds stays. */
export function withNumbers(
  spec: AdaptationSpecInput,
  { seed, target, budget }: SpecNumbers,
): AdaptationSpecInput {
  return {
    ...spec,
    ...(seed === undefined ? {} : { seed }),
    ...(target === undefined ? {} : { target }),
    ...(budget === undefined ? {} : { budget: { ...spec.budget, seconds: budget } }),
  };
}

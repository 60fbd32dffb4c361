import type { ValueSchema } from './value-schema.ts';
import type { AdaptationSpec } from '../../../schemas/spec/adaptation-spec.ts';
import type { RequirementProfile } from '../../../schemas/spec/profile.ts';
import type { PipelineSpecInput } from '../../../schemas/spec/pipeline-spec.ts';
import type { ModelCapabilities } from './language-model.ts';
import type { PartNames } from './part-names.ts';

export interface RungContext {
  readonly spec: AdaptationSpec;
  /** What the model of the spec can do. */
  readonly model: ModelCapabilities;
  /** The rung's checked options. */
  readonly options: unknown;
}

/** Tokens by what is done with them: read as a prompt, generated, trained on. */
export interface TokenWork {
  readonly prompt: number;
  readonly generate: number;
  readonly train: number;
}

export interface Eligibility {
  readonly eligible: boolean;
  readonly reason: string;
}

/** One rung of the ladder: it plans, the interpreter runs. */
export interface RungV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  readonly title: string;
  /** Relative inference cost of what this rung yields: lower is cheaper to run. */
  readonly costRank: number;
  readonly optionsSchema: ValueSchema;
  /** Fields of the options that name what a plugin brings. */
  readonly names?: PartNames;
  eligibility(profile: RequirementProfile, context: RungContext): Eligibility;
  /** Tokens that the rung will pass through the model, dev scoring included. */
  estimate(context: RungContext): TokenWork;
  /**
   * The rung's sub-plan. It reads `${inputs.train}` and `${inputs.dev}` (Parquet artifacts with columns `id`, `input`,
   * `output`), and its node `result` outputs a `RungOutput`. Values of the spec stand in it as `literal(…)`: a user's text
   * may look like a reference.
   */
  toPlan(context: RungContext): PipelineSpecInput;
}

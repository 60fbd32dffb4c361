import type { ValueSchema } from './value-schema.ts';
import type { AdaptationSpec } from '../../../schemas/spec/adaptation-spec.ts';
import type { RequirementProfile } from '../../../schemas/spec/profile.ts';
import type { Comparison } from '../../../schemas/spec/flowchart.ts';
import type { PipelineSpecInput } from '../../../schemas/spec/pipeline-spec.ts';
import type { ModelCapabilities } from './language-model.ts';
import type { ComponentRefs } from './component-refs.ts';

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

/** Where a rung belongs in the default flowchart, which the compiler assembles from all of these. */
export interface RungPlace {
  /**
   * Rungs are tried in ascending order; the built-in ones have 0 (zero-shot), 100 (icl), 200 (rag) and 300 (peft). Of
   * finalists that cost the same, the one with the lower order counts as cheaper.
   */
  readonly order: number;
  /** Tried without asking whether it is eligible and affordable; a budget below its estimate is refused at the start. */
  readonly baseline?: boolean;
  /** What must hold beside eligibility, for instance `{ fact: 'rungs.rag.tried', op: '==', value: true }`. */
  readonly conditions?: readonly Comparison[];
  /** Title of the question whether eligibility and conditions hold; default `Does the profile allow <id>?`. */
  readonly question?: string;
  /** Whether a person must approve it before it runs. */
  readonly approval?: boolean;
}

/** One rung of the ladder: it plans, the interpreter runs. */
export interface RungV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  /** The technique, as flowcharts and reports say it. */
  readonly title: string;
  /** Where it belongs in the default flowchart; null for a rung that only charts of users try. */
  readonly place: RungPlace | null;
  readonly optionsSchema: ValueSchema;
  /** Fields of the options that name what a plugin brings. */
  readonly names?: ComponentRefs;
  eligibility(profile: RequirementProfile, context: RungContext): Eligibility;
  /** Tokens that the rung will pass through the model, dev scoring included. */
  estimate(context: RungContext): TokenWork;
  /**
   * The rung's sub-plan. It reads `${inputs.train}` and `${inputs.dev}` (Parquet artifacts with columns `id`, `input`,
   * `output`), and its node `result` outputs a `RungOutput`. Values of the spec are in it as `literal(…)`: a user's text
   * may look like a reference.
   */
  toPlan(context: RungContext): PipelineSpecInput;
}

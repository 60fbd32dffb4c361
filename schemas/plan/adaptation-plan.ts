/** The compiled adaptation: types only. */
import type { JsonObject } from '../common/json.ts';
import type { PipelinePlan } from './pipeline-plan.ts';
import type { AdaptationSpec } from '../spec/adaptation-spec.ts';
import type { Flowchart } from '../spec/flowchart.ts';

/** A rung with its sub-plan. Sub-plans read `${inputs.train}`, `${inputs.dev}` and end in a node `result`. */
export interface PlannedRung {
  readonly id: string;
  readonly eligible: boolean;
  readonly eligibilityReason: string;
  /** Wall seconds this rung is expected to take, dev scoring included. */
  readonly estimateSeconds: number;
  /** Tokens it will pass through the model. */
  readonly estimateTokens: number;
  /** Place in the default flowchart; null for a rung that has none. */
  readonly order: number | null;
  readonly plan: PipelinePlan | null;
}

export interface AdaptationPlan {
  readonly interpreterVersion: number;
  readonly spec: AdaptationSpec;
  readonly specDigest: string;
  readonly flowchart: Flowchart;
  readonly curation: PipelinePlan;
  /** Inputs of the curation: the pipeline's own, and what the spec says of data, model and task. */
  readonly curationInputs: JsonObject;
  readonly rungs: readonly PlannedRung[];
  /** Scores one finalist on test: reads `${inputs.test}` and `${inputs.candidate}`. */
  readonly test: PipelinePlan;
  /** Wall seconds that scoring one finalist on test is expected to take. */
  readonly testEstimateSeconds: number;
  readonly testEstimateTokens: number;
  /** The winner needs approval; absent when it does not. */
  readonly releaseGate?: { readonly timeoutSeconds: number | null };
  /** Versions of every plugin that took part. */
  readonly plugins: readonly { readonly name: string; readonly version: string }[];
}

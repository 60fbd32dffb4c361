/** What running a plan takes and keeps. Types only. */
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type { PipelinePlan, StepResult } from '../../schemas/plan/pipeline-plan.ts';
import type { Approvals } from '../shared/approvals.ts';
import type { Continuation } from '../shared/continuation.ts';
import type { Permits } from '../shared/permits.ts';

/** Hears when steps start and end, for progress. */
export interface StepObserver {
  started(activityId: string): void;
  finished(activityId: string, result: StepResult): void;
}

/** What lets a later run of the chain finish a plan. */
export interface Resumable {
  /** Outputs of the steps and approvals that have finished, by activity id: none of them is run again. */
  readonly results: Record<string, JsonValue>;
  readonly continuation: Continuation;
}

export interface RunPlanInput {
  readonly plan: PipelinePlan;
  readonly inputs: JsonObject;
  /** Activity ids are `<prefix>/<node id>`. */
  readonly prefix: string;
  readonly observer: StepObserver;
  /** Absent where no plan has an approval. */
  readonly approvals?: Approvals;
  /** Absent where the plan is finished by the run that starts it. */
  readonly resumable?: Resumable;
}

/** One plan that is being run. */
export interface PlanRun {
  readonly observer: StepObserver;
  readonly approvals: Approvals | undefined;
  readonly results: Record<string, JsonValue>;
  readonly continuation: Continuation | undefined;
  readonly permits: Permits;
  /** Steps that the plan has come to so far: maps are counted when their items are known. */
  steps: number;
}

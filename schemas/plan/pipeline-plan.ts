/** What the interpreter runs: types only, made by the compiler, read by workflow code. */
import type { ResourceClass } from './queues.ts';
import type { JsonValue } from '../common/json.ts';
import type { Usage } from '../outcome/usage.ts';

/**
 * How a step may be tried again: `readOnly` changes nothing; `idempotentWrite` publishes under a digest; `resumable`
 * continues from where it was; `billable` costs money with every try.
 */
export type RetryClass = 'readOnly' | 'idempotentWrite' | 'resumable' | 'billable';

/** A step with everything resolved that the workflow needs to schedule it. */
export interface PlannedStep {
  readonly id: string;
  readonly form: 'step';
  /** Step kind and Activity type, for instance `curate.null-filter@1`. */
  readonly uses: string;
  readonly with: { readonly [key: string]: JsonValue };
  /** Ids of the nodes that must have finished first. */
  readonly needs: readonly string[];
  readonly resource: ResourceClass;
  readonly retry: RetryClass;
  readonly startToCloseTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  /** One plain-text line for timelines. */
  readonly summary: string;
  /** Its output has `RowCounts`. */
  readonly countsRows?: true;
}

export interface PlannedMap {
  readonly id: string;
  readonly form: 'map';
  readonly over: readonly JsonValue[] | string;
  readonly concurrency: number;
  readonly body: readonly PlannedStep[];
  readonly needs: readonly string[];
}

export interface PlannedApproval {
  readonly id: string;
  readonly form: 'approval';
  readonly title: string;
  readonly subject: JsonValue;
  readonly timeoutSeconds: number | null;
  readonly needs: readonly string[];
}

export type PlannedNode = PlannedStep | PlannedMap | PlannedApproval;

/** Nodes in an order in which every node follows those it needs. */
export interface PipelinePlan {
  readonly interpreterVersion: number;
  readonly name: string;
  readonly nodes: readonly PlannedNode[];
}

/** What a step's Activity returns to the interpreter. */
export interface StepResult {
  readonly output: { readonly [key: string]: JsonValue };
  /** True when the result was found in the store and nothing was run. */
  readonly cached: boolean;
  readonly seconds: number;
  /** The field `usage` of the output, where the kind has one; of a cached result what making it used. */
  readonly usage: Usage | null;
}

/** Where a step comes from, beside what Temporal's Activity context holds. */
export interface StepOrigin {
  /** First run of the chain of runs that continue as new: they share scratch folders, a run started later does not. */
  readonly firstRunId: string;
}

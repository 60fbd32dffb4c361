/** Arguments and results of the control activities that judge, decide and report. Types only. */
import type { ArtifactRef } from '../common/artifact-ref.ts';
import type { JsonValue } from '../common/json.ts';
import type { ApprovalRecord } from '../outcome/approval.ts';
import type { MeasuredCandidate, RungOutput, Score } from '../outcome/candidate.ts';
import type { Decision, DecisionRecord, MeasuredRecord, PathStep, TestResult } from '../outcome/decision.ts';
import type { Facts } from '../spec/flowchart.ts';

export interface JudgeRungInput {
  readonly rung: string;
  readonly output: RungOutput;
  readonly best: MeasuredCandidate | null;
  /** Candidates compared on dev before this rung. */
  readonly triedBefore: number;
  readonly target: number;
  readonly primary: { readonly id: string; readonly with: { readonly [key: string]: JsonValue } };
  readonly statistics: { readonly level: number; readonly resamples: number; readonly seed: number };
  /** Wall seconds the rung took. */
  readonly seconds: number;
}

export interface JudgeRungResult {
  readonly record: MeasuredRecord;
  /** The rung's best candidate. */
  readonly candidate: MeasuredCandidate;
  /** True when it takes the lead: first of all, or better than the best so far by a real margin. */
  readonly leads: boolean;
}

export interface DecideInput {
  readonly finalists: readonly {
    readonly candidate: MeasuredCandidate;
    /** Place of its rung in the default flowchart; null for one that has none. */
    readonly order: number | null;
    readonly score: Score;
  }[];
  readonly failed: TestResult['failed'];
  readonly reached: 'target-met' | 'target-not-met' | 'budget-exhausted';
  readonly target: number;
  readonly nonInferiorityMargin: number;
  readonly primary: JudgeRungInput['primary'];
  readonly statistics: JudgeRungInput['statistics'];
}

export interface DecideResult {
  readonly decision: Decision;
  readonly test: TestResult;
}

export interface WriteReportInput {
  readonly workflowId: string;
  readonly plan: ArtifactRef;
  readonly curation: { readonly [node: string]: JsonValue };
  readonly candidates: readonly MeasuredCandidate[];
  readonly decision: Decision;
  readonly rungs: readonly DecisionRecord[];
  readonly test: TestResult;
  readonly path: readonly PathStep[];
  readonly facts: Facts;
  readonly seconds: number;
  readonly approvals: readonly ApprovalRecord[];
}

/** Arguments and results of the control activities that judge, decide and report. Types only. */
import type { ArtifactRef } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';
import type { JsonValue } from '../common/json.ts';
import type { ApprovalRecord } from '../outcome/approval.ts';
import type { MeasuredCandidate, RungOutput, Score } from '../outcome/candidate.ts';
import type { Decision, DecisionRecord, MeasuredRecord, PathStep, TestResult } from '../outcome/decision.ts';
import type { AdaptationSpec, MetricChoice } from '../spec/adaptation-spec.ts';
import type { Facts, Verdict } from '../spec/flowchart.ts';
import type { PlannedRung } from './adaptation-plan.ts';

/** What judging and deciding take from the spec. */
export interface DecisionCriteria {
  readonly target: AdaptationSpec['target'];
  readonly primary: Immutable<MetricChoice>;
  readonly statistics: Readonly<
    Pick<AdaptationSpec['statistics'], 'level' | 'resamples'> & Pick<AdaptationSpec, 'seed'>
  >;
}

export interface JudgeRungInput extends DecisionCriteria {
  readonly rung: string;
  readonly output: RungOutput;
  readonly best: MeasuredCandidate | null;
  /** Candidates compared on dev before this rung. */
  readonly triedBefore: number;
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

/** A finalist: the best candidate of a rung. */
export interface Finalist {
  readonly candidate: MeasuredCandidate;
  readonly order: PlannedRung['order'];
}

/** A finalist with its score on the test rows. */
export interface ScoredFinalist extends Finalist {
  readonly score: Score;
}

export interface DecideInput extends DecisionCriteria {
  readonly finalists: readonly ScoredFinalist[];
  readonly failed: TestResult['failed'];
  /** How the flowchart ended. */
  readonly reached: Verdict;
  readonly nonInferiorityMargin: AdaptationSpec['statistics']['nonInferiorityMargin'];
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

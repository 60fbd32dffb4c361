/** Scored systems and decision records. Types only: free for workflow code. */
import type { ArtifactRef } from '../common/artifact-ref.ts';
import type { FailureCode } from '../errors/error-codes.ts';
import type { Approval, ApprovalRecord } from './approval.ts';
import type { Comparison, FactValue, Facts } from '../spec/flowchart.ts';

/** How a prompt is built from a row: the same instruction for every arm, plus demonstrations. */
export interface PromptRecipe {
  readonly system: string;
  readonly instruction: string;
  /** Number of demonstrations and how they are chosen from the training rows. */
  readonly shots: number;
  readonly choose: 'none' | 'fixed' | 'similar';
  /** Passages looked up for the question and put before it; absent without retrieval. */
  readonly retrieval?: RetrievalRecipe;
}

export interface RetrievalRecipe {
  readonly retriever: string;
  readonly index: ArtifactRef;
  /** Passages in the prompt. */
  readonly topK: number;
}

/** How well retrieval finds the answers of the dev rows. */
export interface RetrievalFacts {
  readonly rows: number;
  /** Rows whose answer stands in any of the first hundred passages. */
  readonly found: number;
  /** Share of the rows whose answer stands in one of the first `k` passages. */
  readonly recall: readonly { readonly k: number; readonly value: number }[];
}

/** An estimate with its bootstrap interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Rows. */
  readonly n: number;
}

/** A score of one candidate on one split. */
export interface Score extends Estimate {
  readonly metric: string;
  /** Per-row sufficient statistics of the primary metric (JSON), for paired tests. */
  readonly statistics: ArtifactRef;
  readonly secondary: readonly { readonly metric: string; readonly value: number }[];
  /** Rows `{ id, input, reference, prediction }` (JSONL). */
  readonly predictions: ArtifactRef;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Wall seconds of generation. */
  readonly seconds: number;
}

/** A system that can answer: a model, maybe an adapter, and a recipe. */
export interface Candidate {
  readonly id: string;
  readonly rung: string;
  readonly recipe: PromptRecipe;
  readonly adapter: ArtifactRef | null;
  /** Loss curve and settings of the training run that made the adapter (JSON). */
  readonly training: ArtifactRef | null;
  readonly dev: Score;
}

/** A recipe whose prompts do not fit the model's context. */
export interface SkippedRecipe {
  readonly name: string;
  readonly reason: string;
}

/** What a rung's sub-plan must leave behind: its node `result` outputs this. */
export interface RungOutput {
  /** Every candidate that was tried on dev, best first. */
  readonly candidates: readonly Candidate[];
  /** How many candidates were compared on dev in all (hyper-parameter trials included). */
  readonly tried: number;
  readonly retrieval?: RetrievalFacts;
  /** Candidates that were left out before anything was asked. */
  readonly skipped?: readonly SkippedRecipe[];
}

/** The code of the table of errors and the message with which a step failed. */
export interface StepFailure {
  readonly code: FailureCode;
  readonly message: string;
  /** What the user can do; present where the code is a plugin's. */
  readonly help?: string;
}

/** What a budget limits. */
export type BudgetUnit = 'seconds' | 'tokens';

interface RungRecord {
  readonly rung: string;
  /** Wall seconds that the rung took. */
  readonly seconds: number;
  /** What follows, in words. */
  readonly reason: string;
}

/** What was measured at a rung. */
export interface MeasuredRecord extends RungRecord {
  readonly outcome: 'measured';
  readonly metric: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Lower bound after the correction for the number of candidates tried. */
  readonly correctedLow: number;
  readonly n: number;
  readonly tried: number;
  readonly candidateId: string;
  /** Paired comparison with the best candidate before this rung; null on the first one. */
  readonly gain: {
    readonly against: string;
    readonly delta: number;
    readonly low: number;
    readonly high: number;
  } | null;
  /** Only of rungs that retrieve. */
  readonly retrieval?: RetrievalFacts;
  readonly skipped?: readonly SkippedRecipe[];
}

/** A rung that ended without a score because one of its steps failed. */
export interface FailedRecord extends RungRecord, StepFailure {
  readonly outcome: 'failed';
}

/** A rung that the budget cut off. */
export interface CutOffRecord extends RungRecord {
  readonly outcome: 'cut-off';
  /** What ran out. */
  readonly by: BudgetUnit;
}

/** How a rung ended. */
export type DecisionRecord = MeasuredRecord | FailedRecord | CutOffRecord;

/** A comparison with the values that were compared; `unknown` stands for a fact that was never established. */
export type Compared = Comparison & {
  readonly left: FactValue;
  readonly right: FactValue;
  readonly holds: boolean;
};

/** One node of the flowchart that was visited. */
export interface PathStep {
  readonly node: string;
  readonly title: string;
  readonly answer: 'yes' | 'no' | 'tried' | 'approved' | 'rejected' | 'end';
  readonly comparisons: readonly Compared[];
}

export interface TestResult {
  readonly metric: string;
  readonly candidates: readonly (Estimate & {
    readonly id: string;
    readonly rung: string;
    readonly score: Score;
  })[];
  /** Finalists whose test rows could not be scored; the decision was made among the others. */
  readonly failed: readonly (StepFailure & { readonly id: string; readonly rung: string })[];
  /** The winner against every other finalist, on the same rows. */
  readonly comparisons: readonly {
    readonly rung: string;
    readonly against: string;
    readonly delta: number;
    readonly low: number;
    readonly high: number;
  }[];
}

export type FinalVerdict =
  'target-met' | 'target-not-confirmed' | 'target-not-met' | 'budget-exhausted' | 'release-rejected';

export interface Decision {
  readonly rung: string;
  readonly candidateId: string;
  readonly verdict: FinalVerdict;
  readonly reason: string;
}

/** What `adaptModel` returns. */
export interface AdaptationOutcome {
  readonly workflowId: string;
  readonly decision: Decision;
  readonly rungs: readonly DecisionRecord[];
  readonly test: TestResult;
  readonly path: readonly PathStep[];
  readonly facts: Facts;
  readonly report: { readonly html: ArtifactRef; readonly json: ArtifactRef; readonly markdown: ArtifactRef };
  readonly seconds: number;
  readonly approvals: readonly ApprovalRecord[];
}

/** Answer of the query `progress`. */
export interface Progress {
  readonly phase:
    'compile' | 'curate' | 'ladder' | 'test' | 'approve' | 'report' | 'done' | 'failed' | 'cancelled';
  readonly rung: string | null;
  /** Nodes running now, as `<rung or phase>/<node id>`. */
  readonly running: readonly string[];
  readonly finished: readonly { readonly node: string; readonly seconds: number; readonly cached: boolean }[];
  readonly secondsElapsed: number;
  readonly budgetSeconds: number;
  /** What waits for a person's answer now. */
  readonly approvals: readonly Approval[];
}

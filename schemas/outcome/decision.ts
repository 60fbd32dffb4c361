/** Decision records of a ladder, and what it ends with. */
import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';
import type { FailureCode } from '../errors/error-codes.ts';
import { comparisonSchema, factValueSchema, rungIdSchema, VERDICTS } from '../spec/flowchart.ts';
import { approvalRecordSchema, approvalSchema } from './approval.ts';
import { diagnosticSchema, estimateSchema, scoreSchema, skippedRecipeSchema } from './candidate.ts';

/** The code of the table of errors and the message with which a step failed. */
export const stepFailureSchema = z.strictObject({
  code: z.custom<FailureCode>((code) => typeof code === 'string'),
  message: z.string(),
  /** What the user can do; present where the code is a plugin's. */
  help: z.string().optional(),
});

/** What a budget limits. */
export const budgetUnitSchema = z.enum(['seconds', 'tokens']);

const rungRecord = {
  rung: rungIdSchema,
  /** Wall seconds that the rung took. */
  seconds: z.number(),
  /** What follows, in words. */
  reason: z.string(),
};

/** What a candidate costs, as measured on dev. */
export const candidateCostSchema = z.strictObject({
  promptTokens: z.int(),
  completionTokens: z.int(),
  /** Labelled tokens that its adapter was trained on; 0 where nothing was trained. */
  trainingTokens: z.int(),
  /** Wall seconds of generation, divided by the answers. */
  secondsPerAnswer: z.number(),
  /** Of answering and of training, whichever is larger; null where no provider can say. */
  peakMemoryBytes: z.int().nullable(),
  /** US dollars for answering the dev rows and for training; absent where providers charge nothing. */
  costUsd: z.number().nonnegative().optional(),
});

const pairedSchema = z.strictObject({
  /** The candidate it is compared with. */
  against: z.string(),
  delta: z.number(),
  low: z.number(),
  high: z.number(),
});

/** What was measured at a rung. */
export const measuredRecordSchema = estimateSchema.extend({
  ...rungRecord,
  outcome: z.literal('measured'),
  metric: z.string(),
  /** Lower bound after the correction for the number of candidates tried. */
  correctedLow: z.number(),
  tried: z.int(),
  candidateId: z.string(),
  cost: candidateCostSchema,
  /** Paired comparison with the best candidate before this rung; null on the first one. */
  gain: pairedSchema.nullable(),
  diagnostics: z.array(diagnosticSchema),
  skipped: z.array(skippedRecipeSchema),
});

/** A rung that ended without a score because one of its steps failed. */
export const failedRecordSchema = stepFailureSchema.extend({ ...rungRecord, outcome: z.literal('failed') });

/** A rung that the budget cut off; `by` is what ran out. */
export const cutOffRecordSchema = z.strictObject({
  ...rungRecord,
  outcome: z.literal('cut-off'),
  by: budgetUnitSchema,
});

/** How a rung ended. */
export const decisionRecordSchema = z.discriminatedUnion('outcome', [
  measuredRecordSchema,
  failedRecordSchema,
  cutOffRecordSchema,
]);

/** A comparison with the values that were compared; `unknown` is a fact that was never established. */
export const comparedSchema = comparisonSchema.extend({
  left: factValueSchema,
  right: factValueSchema,
  holds: z.boolean(),
});

/** One node of the flowchart that was visited. */
export const pathStepSchema = z.strictObject({
  node: z.string(),
  title: z.string(),
  answer: z.enum(['yes', 'no', 'tried', 'approved', 'rejected', 'end']),
  comparisons: z.array(comparedSchema),
});

const testedCandidateSchema = estimateSchema.extend({
  id: z.string(),
  rung: rungIdSchema,
  score: scoreSchema,
});

/** The finalists on the test rows. */
export const testResultSchema = z.strictObject({
  metric: z.string(),
  candidates: z.array(testedCandidateSchema),
  /** Finalists whose test rows could not be scored; the decision was made among the others. */
  failed: z.array(stepFailureSchema.extend({ id: z.string(), rung: rungIdSchema })),
  /** The winner against every other finalist, on the same rows; `against` is a rung. */
  comparisons: z.array(pairedSchema.extend({ rung: rungIdSchema })),
});

/** What a ladder ends with: how the flowchart ended, as the test rows confirm it or not. */
export const finalVerdictSchema = z.enum([...VERDICTS, 'target-not-confirmed', 'release-rejected']);

/** The winner and why. */
export const decisionSchema = z.strictObject({
  rung: rungIdSchema,
  candidateId: z.string(),
  verdict: finalVerdictSchema,
  reason: z.string(),
});

/** What `adaptModel` returns. */
export const adaptationOutcomeSchema = z.strictObject({
  workflowId: z.string(),
  decision: decisionSchema,
  rungs: z.array(decisionRecordSchema),
  test: testResultSchema,
  path: z.array(pathStepSchema),
  facts: z.record(z.string(), factValueSchema),
  report: z.strictObject({ html: artifactRefSchema, json: artifactRefSchema, markdown: artifactRefSchema }),
  seconds: z.number(),
  /** US dollars that providers charged for the steps of this run; absent where they charge nothing. */
  costUsd: z.number().nonnegative().optional(),
  approvals: z.array(approvalRecordSchema),
});

/** Answer of the query `progress`. */
export const progressSchema = z.strictObject({
  phase: z.enum(['compile', 'curate', 'ladder', 'test', 'approve', 'report', 'done', 'failed', 'cancelled']),
  rung: rungIdSchema.nullable(),
  /** Nodes running now, as `<rung or phase>/<node id>`. */
  running: z.array(z.string()),
  finished: z.array(z.strictObject({ node: z.string(), seconds: z.number(), cached: z.boolean() })),
  secondsElapsed: z.number(),
  budgetSeconds: z.number(),
  /** Pending approvals. */
  approvals: z.array(approvalSchema),
});

export type StepFailure = Immutable<z.infer<typeof stepFailureSchema>>;
export type BudgetUnit = z.infer<typeof budgetUnitSchema>;
export type CandidateCost = Immutable<z.infer<typeof candidateCostSchema>>;
export type MeasuredRecord = Immutable<z.infer<typeof measuredRecordSchema>>;
export type FailedRecord = Immutable<z.infer<typeof failedRecordSchema>>;
export type CutOffRecord = Immutable<z.infer<typeof cutOffRecordSchema>>;
export type DecisionRecord = Immutable<z.infer<typeof decisionRecordSchema>>;
export type Compared = Immutable<z.infer<typeof comparedSchema>>;
export type PathStep = Immutable<z.infer<typeof pathStepSchema>>;
export type TestResult = Immutable<z.infer<typeof testResultSchema>>;
export type FinalVerdict = z.infer<typeof finalVerdictSchema>;
export type Decision = Immutable<z.infer<typeof decisionSchema>>;
export type AdaptationOutcome = Immutable<z.infer<typeof adaptationOutcomeSchema>>;
export type Progress = Immutable<z.infer<typeof progressSchema>>;

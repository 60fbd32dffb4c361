/** One training run: its plan, its state, its result. Workflow code imports types only. */
import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';
import { usageSchema } from './usage.ts';
import { trainingWarningSchema } from './warning.ts';
import type { PipelinePlan, PlannedStep } from '../plan/pipeline-plan.ts';

/** A compiled training: curation, then the step that trains on what it leaves. */
export interface TrainPlan {
  readonly curation: PipelinePlan;
  readonly train: PlannedStep;
}

/** What a run hands to the run that continues it. */
export interface TrainingState {
  /** The training step with every reference replaced. */
  readonly step: PlannedStep;
  /** Attempts that have failed so far, in all runs. */
  readonly failedAttempts: number;
  readonly lastFailure: string;
}

/** Output of every training step, but for what was trained. */
export const trainingFactsSchema = z.strictObject({
  /** Settings and loss curve (JSON). */
  training: artifactRefSchema,
  rows: z.int(),
  steps: z.int(),
  lossFirstNats: z.number(),
  lossLastNats: z.number(),
  /** Steps whose update was left out because they were not finite. */
  skippedSteps: z.int(),
  /** The first ones; the artifact `training` has all. */
  warnings: z.array(trainingWarningSchema),
  warningCount: z.int(),
  usage: usageSchema,
});

/** Output of a step that trains an adapter. */
export const trainedAdapterSchema = z.strictObject({
  /** Folder in PEFT format. */
  adapter: artifactRefSchema,
  adapterSha256: z.string(),
  ...trainingFactsSchema.shape,
});

/** Output of a step that fine-tunes a whole model. */
export const trainedModelSchema = z.strictObject({
  /** Packed folder as transformers reads it. */
  model: artifactRefSchema,
  modelSha256: z.string(),
  ...trainingFactsSchema.shape,
});

/** One of two forms, in which fields of the other one are known to be absent. */
type Only<One, Other> = One & { readonly [Field in Exclude<keyof Other, keyof One>]?: undefined };

export type TrainingFacts = Immutable<z.infer<typeof trainingFactsSchema>>;
export type TrainedAdapter = Immutable<z.infer<typeof trainedAdapterSchema>>;
export type TrainedModel = Immutable<z.infer<typeof trainedModelSchema>>;

/** Output of a training step. */
export type TrainingResult = Only<TrainedAdapter, TrainedModel> | Only<TrainedModel, TrainedAdapter>;

/** What `trainModel` returns. */
export type TrainOutcome = TrainingResult & { readonly failedAttempts: number };

/** Answer of the query `progress` of a training; loss and time left are in its activity's heartbeat. */
export interface TrainProgress {
  readonly phase: 'compile' | 'curate' | 'train' | 'done' | 'failed' | 'cancelled';
  readonly failedAttempts: number;
  readonly lastFailure: string;
}

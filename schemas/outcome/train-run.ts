/** One training run: types only, free for workflow code. */
import type { ArtifactRef } from '../common/artifact-ref.ts';
import type { TrainingWarning } from './warning.ts';
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

interface TrainedAdapter {
  readonly adapter: ArtifactRef;
  readonly adapterSha256: string;
  readonly model?: undefined;
  readonly modelSha256?: undefined;
}

/** Of full fine-tuning: a packed folder as transformers reads it. */
interface TrainedModel {
  readonly model: ArtifactRef;
  readonly modelSha256: string;
  readonly adapter?: undefined;
  readonly adapterSha256?: undefined;
}

/** What a training step leaves of what `trainModel` returns. */
export type TrainingResult = (TrainedAdapter | TrainedModel) & TrainingFacts;

/** What `trainModel` returns. */
export type TrainOutcome = TrainingResult & { readonly failedAttempts: number };

interface TrainingFacts {
  readonly training: ArtifactRef;
  readonly rows: number;
  readonly steps: number;
  readonly lossFirstNats: number;
  readonly lossLastNats: number;
  /** Steps whose update was left out because they were not finite. */
  readonly skippedSteps: number;
  /** The first ones; the artifact `training` has all. */
  readonly warnings: readonly TrainingWarning[];
  readonly warningCount: number;
}

/** Answer of the query `progress` of a training; loss and time left are in its activity's heartbeat. */
export interface TrainProgress {
  readonly phase: 'compile' | 'curate' | 'train' | 'done' | 'failed' | 'cancelled';
  readonly failedAttempts: number;
  readonly lastFailure: string;
}

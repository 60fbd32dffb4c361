import {
  ContinueAsNew,
  continueAsNew,
  defineQuery,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import {
  MAX_INTERNAL_ATTEMPTS,
  MAX_RESUMABLE_ATTEMPTS,
  QUERY_PROGRESS,
  TRAINING_ATTEMPTS_PER_RUN,
} from '../../schemas/plan/constants.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type {
  TrainingResult,
  TrainingState,
  TrainOutcome,
  TrainProgress,
} from '../../schemas/outcome/train-run.ts';
import { control } from '../shared/control-activities.ts';
import { asCancellation, runCancelled } from '../shared/step-failure.ts';
import { runPlan } from '../pipeline/interpreter.ts';
import { replaceReferences } from '../pipeline/replace-references.ts';
import { fail } from '../shared/fail.ts';
import { guardSpec } from '../shared/payload.ts';
import { fromJson } from '../shared/plan-border.ts';
import { unwrapFailure } from '../shared/unwrap-failure.ts';
import { attemptStep, failureOf, isInternal, mayTryAgain, retryAfterMsOf } from './attempt.ts';
import { readCarried } from './carried.ts';
import { TrainingRun } from './training-run.ts';

export const trainingQuery = defineQuery<TrainProgress>(QUERY_PROGRESS);

const SECOND_MS = 1000;
const MAX_PAUSE_MS = 60 * SECOND_MS;

/**
 * Owns one training run: curates, then tries until the adapter, or the model, is there. An attempt resumes from the newest complete
 * checkpoint, and how many may fail is limited by progress, which the step itself counts (`TRAINING_NO_PROGRESS`).
 * Checkpoints are no events. What makes a history grow is failed attempts, so after every
 * `TRAINING_ATTEMPTS_PER_RUN` of them the run continues as new; `carried` is what one run hands to the next.
 */
export async function trainModel(spec: unknown, carried?: TrainingState): Promise<TrainOutcome> {
  const run = new TrainingRun();
  setHandler(trainingQuery, () => run.progress(), { description: 'Phase, failed attempts, last failure' });
  try {
    guardSpec(spec);
    const state = readCarried(carried) ?? (await prepare(spec, run));
    run.takeUp(state);
    return await train(spec, state, run);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const cancelled = runCancelled();
    run.enter(cancelled ? 'cancelled' : 'failed');
    throw cancelled ? asCancellation(error) : unwrapFailure(error);
  }
}

/** Compiles and curates; the training step then has everything it needs. */
async function prepare(spec: unknown, run: TrainingRun): Promise<TrainingState> {
  const { plan } = await control.compileTrainSpec({ spec: spec ?? null });
  run.enter('curate');
  const nodes = await runPlan({
    plan: plan.curation,
    inputs: {},
    prefix: 'curate',
    observer: run,
  });
  const resolved = replaceReferences(plan.train.with, { inputs: {}, nodes }, 'train');
  return { step: { ...plan.train, with: resolved as JsonObject }, failedAttempts: 0, lastFailure: '' };
}

async function train(spec: unknown, { step }: TrainingState, run: TrainingRun): Promise<TrainOutcome> {
  run.enter('train');
  let internal = 0;
  for (let failures = 1; ; failures += 1) {
    try {
      const { output } = await attemptStep(step, 'train');
      run.enter('done');
      return { ...fromJson<TrainingResult>(output), failedAttempts: run.failedAttempts };
    } catch (error) {
      internal += isInternal(error) ? 1 : 0;
      if (!mayTryAgain(error) || internal >= MAX_INTERNAL_ATTEMPTS) throw error;
      refuseEndless(run.failed(failureOf(error)), run.lastFailure);
      // Counted in this run alone: how long it has gone on before says nothing about the next attempt.
      const backoffMs = Math.min(MAX_PAUSE_MS, SECOND_MS * 2 ** Math.min(6, failures - 1));
      await sleep(Math.max(backoffMs, retryAfterMsOf(error)));
      const { failedAttempts, lastFailure } = run;
      if (failedAttempts % TRAINING_ATTEMPTS_PER_RUN === 0 || workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof trainModel>(spec, { step, failedAttempts, lastFailure });
      }
    }
  }
}

/** Ends a training whose attempts fail before they can report whether they made progress. */
function refuseEndless(failedAttempts: number, lastFailure: string): void {
  if (failedAttempts < MAX_RESUMABLE_ATTEMPTS) return;
  throw fail('TRAINING_NO_PROGRESS', `${failedAttempts} attempts have failed. The last one: ${lastFailure}`);
}

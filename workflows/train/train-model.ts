import {
  continueAsNew,
  defineQuery,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { QUERY_PROGRESS, TRAINING_ATTEMPTS_PER_RUN } from '../../schemas/common/constants.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import { resolveReferences } from '../../schemas/pipeline/references.ts';
import type { TrainingState, TrainOutcome, TrainProgress } from '../../schemas/train/train-run.ts';
import { control } from '../adapt/control.ts';
import { runPlan, type StepObserver } from '../pipeline/interpreter.ts';
import { Approvals } from '../shared/approvals.ts';
import { surface } from '../shared/surface.ts';
import { attemptStep, failureOf, mayTryAgain } from './attempt.ts';

export const trainingQuery = defineQuery<TrainProgress>(QUERY_PROGRESS);

const SECOND_MS = 1000;
const LONGEST_PAUSE_MS = 60 * SECOND_MS;

/**
 * Owns one training run: curates, then tries until the adapter, or the model, is there. An attempt goes on from the newest complete
 * checkpoint, and how many may fail is limited by progress, which the step itself counts (`TRAINING_NO_PROGRESS`).
 * Checkpoints are no events. What makes a history grow is failed attempts, so after every
 * `TRAINING_ATTEMPTS_PER_RUN` of them the run continues as new; `carried` is what one run hands to the next.
 */
export async function trainModel(spec: unknown, carried?: TrainingState): Promise<TrainOutcome> {
  const run = new TrainingRun(carried);
  setHandler(trainingQuery, () => run.progress(), { description: 'Phase, failed attempts, last failure' });
  try {
    const state = carried ?? (await prepare(spec, run));
    return await train(spec, state, run);
  } catch (error) {
    throw surface(error);
  }
}

/** What is known of a training; shown in the UI and answered to queries. */
class TrainingRun implements StepObserver {
  #phase: TrainProgress['phase'] = 'compile';
  #failedAttempts: number;
  #lastFailure: string;

  constructor(carried: TrainingState | undefined) {
    this.#failedAttempts = carried?.failedAttempts ?? 0;
    this.#lastFailure = carried?.lastFailure ?? '';
  }

  enter(phase: TrainProgress['phase']): void {
    this.#phase = phase;
    this.#publish();
  }

  failed(why: string): number {
    this.#lastFailure = why;
    this.#failedAttempts += 1;
    this.#publish();
    return this.#failedAttempts;
  }

  get failedAttempts(): number {
    return this.#failedAttempts;
  }

  get lastFailure(): string {
    return this.#lastFailure;
  }

  started(): void {
    this.#publish();
  }

  finished(): void {
    this.#publish();
  }

  progress(): TrainProgress {
    const { failedAttempts, lastFailure } = this;
    return { phase: this.#phase, failedAttempts, lastFailure };
  }

  #publish(): void {
    const failures = `**Failed attempts:** ${this.#failedAttempts}`;
    const last = this.#lastFailure === '' ? '' : `  \n**Last failure:** ${this.#lastFailure.slice(0, 500)}`;
    setCurrentDetails(`**Phase:** ${this.#phase}  \n${failures}${last}`);
  }
}

/** Compiles and curates; the training step then has everything it needs. */
async function prepare(spec: unknown, run: TrainingRun): Promise<TrainingState> {
  const { plan } = await control.compileTrainSpec({ spec: spec ?? null });
  run.enter('curate');
  const approvals = new Approvals(() => undefined);
  const nodes = await runPlan({
    plan: plan.curation,
    inputs: {},
    prefix: 'curate',
    observer: run,
    approvals,
  });
  const resolved = resolveReferences(plan.train.with, { inputs: {}, nodes });
  return { step: { ...plan.train, with: resolved as JsonObject }, failedAttempts: 0, lastFailure: '' };
}

async function train(spec: unknown, { step }: TrainingState, run: TrainingRun): Promise<TrainOutcome> {
  run.enter('train');
  for (;;) {
    try {
      const { output } = await attemptStep(step, 'train');
      run.enter('done');
      return outcomeOf(output, run.failedAttempts);
    } catch (error) {
      if (!mayTryAgain(error)) {
        run.enter('failed');
        throw error;
      }
      const failedAttempts = run.failed(failureOf(error));
      await sleep(Math.min(LONGEST_PAUSE_MS, SECOND_MS * 2 ** Math.min(6, failedAttempts - 1)));
      if (failedAttempts % TRAINING_ATTEMPTS_PER_RUN === 0 || workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof trainModel>(spec, { step, failedAttempts, lastFailure: run.lastFailure });
      }
    }
  }
}

function outcomeOf(output: JsonObject, failedAttempts: number): TrainOutcome {
  const { training, rows, steps, lossFirstNats, lossLastNats } = output;
  const { skippedSteps, warnings, warningCount } = output;
  const { adapter, adapterSha256, model, modelSha256 } = output;
  const made = model === undefined ? { adapter, adapterSha256 } : { model, modelSha256 };
  const found = {
    ...made,
    training,
    rows,
    steps,
    lossFirstNats,
    lossLastNats,
    skippedSteps,
    warnings,
    warningCount,
  };
  return { ...(found as unknown as TrainOutcome), failedAttempts };
}

import { setCurrentDetails } from '@temporalio/workflow';
import type { TrainingState, TrainProgress } from '../../schemas/outcome/train-run.ts';
import type { StepObserver } from '../pipeline/plan-run.ts';
import { cell } from '../shared/dashboard-text.ts';

/** What is known of a training; shown in the UI and answered to queries. */
export class TrainingRun implements StepObserver {
  #phase: TrainProgress['phase'] = 'compile';
  #failedAttempts = 0;
  #lastFailure = '';

  takeUp({ failedAttempts, lastFailure }: TrainingState): void {
    this.#failedAttempts = failedAttempts;
    this.#lastFailure = lastFailure;
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
    // Words of other programs: a trainer's log, a path, a column's name.
    const last = this.#lastFailure === '' ? '' : `  \n**Last failure:** ${cell(this.#lastFailure)}`;
    setCurrentDetails(`**Phase:** ${this.#phase}  \n${failures}${last}`);
  }
}

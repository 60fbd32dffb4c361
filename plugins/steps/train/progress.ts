/** What of a training's events reaches heartbeats and results: few and short. */
import type { TrainingProgress } from '../../sdk/contracts/trainer.ts';
import { findVices } from './vices.ts';
import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';

const MOST_WARNINGS = 20;
const MOST_IN_PROGRESS = 3;
const MOST_CHARACTERS = 500;
const MOST_ROWS = 8;

/** Progress as a heartbeat has it: the newest warnings, and how many there were. */
export type ReportedProgress = Omit<TrainingProgress, 'warnings' | 'samples'> & {
  readonly warnings: TrainingWarning[];
  readonly warningCount: number;
};

/**
 * Passes on the first step, every `loggingSteps`-th, the last, and each that brings a warning. Warnings are kept: whoever
 * looks between two steps sees the newest ones.
 */
export function reportProgress(
  loggingSteps: number,
  report: (progress: ReportedProgress) => void,
): (progress: TrainingProgress) => void {
  const all: TrainingWarning[] = [];
  let first = true;
  return ({ warnings: told = [], samples = [], ...progress }) => {
    const warnings = [...told, ...findVices(samples)];
    all.push(...warnings);
    const { step, totalSteps } = progress;
    const due = first || step % loggingSteps === 0 || step === totalSteps || warnings.length > 0;
    first = false;
    if (!due) return;
    const newest = briefly(all.slice(-MOST_IN_PROGRESS));
    report({ ...progress, warnings: newest, warningCount: all.length });
  };
}

/** The first warnings, cut to what may travel in a history. */
export function briefly(warnings: readonly TrainingWarning[]): TrainingWarning[] {
  return warnings.slice(0, MOST_WARNINGS).map(({ message, rows, ...warning }) => ({
    ...warning,
    message: message.length > MOST_CHARACTERS ? `${message.slice(0, MOST_CHARACTERS)}…` : message,
    rows: rows.slice(0, MOST_ROWS),
  }));
}

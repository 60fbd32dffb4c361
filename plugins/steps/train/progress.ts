/** What of a training's events reaches heartbeats and results: few and short. */
import type { TrainingProgress } from '../../sdk/contracts/trainer.ts';
import { findDegeneration } from './degeneration.ts';
import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';

const MAX_WARNINGS = 20;
const MAX_IN_PROGRESS = 3;
const MAX_CHARACTERS = 500;
const MAX_ROWS = 8;

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
  return ({ warnings: reported = [], samples = [], ...progress }) => {
    const warnings = [...reported, ...findDegeneration(samples)];
    all.push(...warnings);
    const { step, totalSteps } = progress;
    const due = first || step % loggingSteps === 0 || step === totalSteps || warnings.length > 0;
    first = false;
    if (!due) return;
    const newest = briefly(all.slice(-MAX_IN_PROGRESS));
    report({ ...progress, warnings: newest, warningCount: all.length });
  };
}

/** The first warnings, cut to what may travel in a history. */
export function briefly(warnings: readonly TrainingWarning[]): TrainingWarning[] {
  return warnings.slice(0, MAX_WARNINGS).map(({ message, rows, ...warning }) => ({
    ...warning,
    message: message.length > MAX_CHARACTERS ? `${message.slice(0, MAX_CHARACTERS)}…` : message,
    rows: rows.slice(0, MAX_ROWS),
  }));
}

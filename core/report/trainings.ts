import type { TrainingSample } from '../../plugins/sdk/contracts/trainer.ts';
import type { TrainingWarning } from '../../schemas/outcome/warning.ts';
import type { LossPoint, Training } from './report-data.ts';

/** Warnings of a training that a report shows; its JSON twin has all. */
const SHOWN = 20;
/** Replies of an epoch that a report shows. */
const SHOWN_REPLIES = 8;

/** First and last loss that is a number; 0 where there is none. */
export function endsOf(losses: readonly LossPoint[]): { readonly first: number; readonly last: number } {
  const finite = finiteOf(losses);
  return { first: finite[0]?.lossNats ?? 0, last: finite.at(-1)?.lossNats ?? 0 };
}

/** The steps whose loss is a number. */
export function finiteOf(losses: readonly LossPoint[]): { step: number; lossNats: number }[] {
  return losses.flatMap(({ step, lossNats }) => (lossNats === null ? [] : [{ step, lossNats }]));
}

/** The warnings that a report shows, and what it says of the others. */
export function warningsOf(
  trainings: readonly Training[],
): (Pick<TrainingWarning, 'message'> & { readonly rung: string; readonly kind: string })[] {
  return trainings.flatMap(({ rung, warnings }) => {
    const shown = warnings.slice(0, SHOWN).map(({ kind, message }) => ({ rung, kind, message }));
    const more = warnings.length - shown.length;
    const rest = { rung, kind: 'more', message: `${more} further warnings are in the JSON report` };
    return more > 0 ? [...shown, rest] : shown;
  });
}

/** Replies of one epoch of a training; those that a report leaves out are counted. */
export interface EpochReplies {
  readonly rung: string;
  readonly epoch: number;
  readonly step: number;
  readonly shown: readonly TrainingSample[];
  readonly more: number;
}

/** What trainings replied, epoch by epoch. */
export function repliesOf(trainings: readonly Training[]): EpochReplies[] {
  return trainings.flatMap(({ rung, samples }) => {
    const steps = [...new Set(samples.map(({ step }) => step))];
    return steps.map((step) => {
      const all = samples.filter((sample) => sample.step === step);
      const shown = all.slice(0, SHOWN_REPLIES);
      return { rung, epoch: all[0]?.epoch ?? 0, step, shown, more: all.length - shown.length };
    });
  });
}

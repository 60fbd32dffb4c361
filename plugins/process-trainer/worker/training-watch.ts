import { performance } from 'node:perf_hooks';
import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { TrainingProgress, TrainSummary } from '../../sdk/contracts/trainer.ts';
import { dropCheckpoint, sealCheckpoint, type CheckpointIdentity, type Resume } from './checkpoints.ts';
import type { ProgressEvent, TrainEvent } from './protocol.ts';
import { Pace, TrainingLog } from './training-log.ts';

/** Complete checkpoints that stay: one to resume from, and one should its bytes be damaged. */
const KEPT_CHECKPOINTS = 2;

/** Whom the events of a training concern. */
export interface Watched {
  /** The trainer's id. */
  readonly trainer: string;
  /** Whether it may leave steps out. */
  readonly maySkip: boolean;
  readonly outDir: string;
  /** Digest of what the training depends on. */
  readonly identity: CheckpointIdentity;
  readonly resume: Resume | null;
  readonly onProgress: (progress: TrainingProgress) => void;
  /** A checkpoint could not be completed, or the protocol was not kept: the training should stop. `settled` throws why. */
  readonly onBroken: () => void;
}

/** What becomes of the events of one training: progress for those who watch, a log, complete checkpoints. */
export class TrainingWatch {
  readonly #watched: Watched;
  readonly #log: TrainingLog;
  readonly #pace = new Pace(performance.now());
  /** Complete ones, oldest first. */
  readonly #complete: number[];
  #newestAnnounced = 0;
  #sealing: Promise<void> = Promise.resolve();
  #broken: { readonly error: unknown } | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#log = new TrainingLog(watched.resume?.log);
    const { resume } = watched;
    this.#complete = resume === null ? [] : [...resume.older, resume.step];
  }

  take(event: TrainEvent): void {
    if (event.kind === 'progress') this.#progress(event);
    if (event.kind === 'checkpoint') this.#announced(event.step);
    if (event.kind === 'alive') this.#pace.restart(performance.now());
  }

  /** Waits until every announced checkpoint is complete; throws why one could not be. */
  async settled(): Promise<void> {
    await this.#sealing;
    if (this.#broken !== undefined) throw this.#broken.error;
  }

  /** The curve over all attempts. Throws `TRAINER_PROTOCOL` when no step was reported, `TRAINING_NON_FINITE` when all were skipped. */
  summary(): Omit<TrainSummary, 'by' | 'steps' | 'seconds' | 'resumedFromStep'> {
    const { trainer } = this.#watched;
    const { entries, skipped, tokens: labelledTokens } = this.#log;
    if (entries.length === 0) throw protocolFailure(trainer, 'ended without having reported a step');
    const learned = entries.flatMap(({ lossNats, skipped }) =>
      lossNats === null || skipped === true ? [] : [lossNats],
    );
    const [lossFirstNats, lossLastNats] = [learned[0], learned.at(-1)];
    if (lossFirstNats === undefined || lossLastNats === undefined) {
      const message = `trainer "${trainer}" skipped every step because it was not finite: nothing was learnt`;
      throw new EscadaFailure({ code: 'TRAINING_NON_FINITE', message, fields: { trainer } });
    }
    const losses = entries.map(({ tokens: _, ...entry }) => entry);
    const warnings = skipped.map(({ step }) => skipWarning(trainer, step));
    return { losses, lossFirstNats, lossLastNats, labelledTokens, skippedSteps: skipped.length, warnings };
  }

  #progress(event: ProgressEvent): void {
    const { trainer, maySkip } = this.#watched;
    const skipped = event.skipped === true;
    if (skipped && !maySkip) {
      this.#break(
        protocolFailure(trainer, `skipped step ${event.step}, which config.nonFinite "stop" forbids`),
      );
      return;
    }
    this.#log.add(event);
    const { step, totalSteps, lossNats, learningRate, gradientNorm, rssBytes } = event;
    this.#watched.onProgress({
      step,
      totalSteps,
      lossNats,
      learningRate,
      ...(gradientNorm === undefined ? {} : { gradientNorm }),
      ...(rssBytes === undefined ? {} : { rssBytes }),
      ...this.#pace.after(event, performance.now()),
      checkpointStep: this.#complete.at(-1) ?? 0,
      skippedSteps: this.#log.skipped.length,
      ...(skipped ? { warnings: [skipWarning(trainer, step)] } : {}),
    });
  }

  #break(error: unknown): void {
    this.#broken ??= { error };
    this.#watched.onBroken();
  }

  #announced(step: number): void {
    this.#newestAnnounced = Math.max(this.#newestAnnounced, step);
    const log = this.#log.upTo(step);
    this.#sealing = this.#sealing
      .then(() => this.#seal(step, log))
      .catch((error: unknown) => this.#break(error));
  }

  async #seal(step: number, log: ReturnType<TrainingLog['upTo']>): Promise<void> {
    if (this.#broken !== undefined) return;
    const { outDir, identity } = this.#watched;
    try {
      await sealCheckpoint(outDir, { step, identity, log });
    } catch (error) {
      // A trainer may delete an older checkpoint once it has announced a newer one.
      if (step < this.#newestAnnounced) return;
      throw error;
    }
    this.#complete.push(step);
    while (this.#complete.length > KEPT_CHECKPOINTS)
      await dropCheckpoint(outDir, this.#complete.shift() ?? 0);
  }
}

function skipWarning(trainer: string, step: number): TrainingWarning {
  const message = `trainer "${trainer}" left step ${step} out: it was not finite`;
  return { kind: 'skipped-step', step, message, rows: [] };
}

function protocolFailure(trainer: string, what: string): EscadaFailure {
  return new EscadaFailure({
    code: 'TRAINER_PROTOCOL',
    message: `trainer "${trainer}" ${what}`,
    fields: { trainer },
  });
}

import { performance } from 'node:perf_hooks';
import { EscadaFailure } from '../../api/failure.ts';
import type { TrainingProgress, TrainResult } from '../../api/trainer.ts';
import { dropCheckpoint, sealCheckpoint, type Resume } from './checkpoints.ts';
import type { ProgressEvent, TrainEvent } from './protocol.ts';
import { Pace, TrainingLog } from './training-log.ts';

/** Complete checkpoints that stay: one to resume from, and one should its bytes be damaged. */
const KEPT_CHECKPOINTS = 2;

/** Whom the events of a training concern. */
export interface Watched {
  readonly outDir: string;
  /** Digest of what the training depends on. */
  readonly inputs: string;
  readonly resume: Resume | null;
  readonly onProgress: (progress: TrainingProgress) => void;
  /** A checkpoint could not be completed: the training should stop. `settled` throws why. */
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

  /** The curve over all attempts. Throws `TRAINER_PROTOCOL` when no step was reported. */
  summary(
    trainer: string,
  ): Pick<TrainResult, 'losses' | 'lossFirstNats' | 'lossLastNats' | 'labelledTokens'> {
    const { entries, tokens } = this.#log;
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined) {
      const message = `trainer "${trainer}" ended without having reported a step`;
      throw new EscadaFailure({ code: 'TRAINER_PROTOCOL', message, fields: { trainer } });
    }
    const losses = entries.map(({ step, lossNats, learningRate }) => ({ step, lossNats, learningRate }));
    return { losses, lossFirstNats: first.lossNats, lossLastNats: last.lossNats, labelledTokens: tokens };
  }

  #progress(event: ProgressEvent): void {
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
    });
  }

  #announced(step: number): void {
    this.#newestAnnounced = Math.max(this.#newestAnnounced, step);
    const log = this.#log.upTo(step);
    this.#sealing = this.#sealing
      .then(() => this.#seal(step, log))
      .catch((error: unknown) => {
        this.#broken ??= { error };
        this.#watched.onBroken();
      });
  }

  async #seal(step: number, log: ReturnType<TrainingLog['upTo']>): Promise<void> {
    if (this.#broken !== undefined) return;
    const { outDir, inputs } = this.#watched;
    try {
      await sealCheckpoint(outDir, { step, inputs, log });
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

import { z } from 'zod';
import type { ProgressEvent } from './protocol.ts';

/** What is kept of a progress event. */
export const logEntrySchema = z.strictObject({
  step: z.int().positive(),
  lossNats: z.number().nullable(),
  learningRate: z.number(),
  tokens: z.int().nonnegative(),
  skipped: z.literal(true).optional(),
});
export type LogEntry = z.infer<typeof logEntrySchema>;

/** The steps of one training, first step first, over all attempts. */
export class TrainingLog {
  #entries: LogEntry[];

  constructor(entries: readonly LogEntry[] = []) {
    this.#entries = [...entries];
  }

  /** A step that comes again replaces what followed from it. */
  add({ step, lossNats, learningRate, tokens, skipped }: ProgressEvent): void {
    if (step <= (this.#entries.at(-1)?.step ?? 0)) this.#entries = this.upTo(step - 1);
    const entry = { step, lossNats, learningRate, tokens };
    this.#entries.push(skipped === true ? { ...entry, skipped } : entry);
  }

  upTo(step: number): LogEntry[] {
    return this.#entries.filter((entry) => entry.step <= step);
  }

  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** Steps whose update was left out. */
  get skipped(): readonly LogEntry[] {
    return this.#entries.filter(({ skipped }) => skipped === true);
  }

  get tokens(): number {
    return this.#entries.reduce((sum, { tokens }) => sum + tokens, 0);
  }
}

/** Speed and time left, from the events of this attempt. */
export class Pace {
  #since: number;
  #firstStep: number | undefined;
  #tokens = 0;

  constructor(nowMs: number) {
    this.#since = nowMs;
  }

  /** What was done before the first step, such as loading a model, is no part of the pace. */
  restart(nowMs: number): void {
    if (this.#firstStep === undefined) this.#since = nowMs;
  }

  after({ step, totalSteps, tokens }: ProgressEvent, nowMs: number) {
    if (this.#firstStep === undefined) {
      const seconds = Math.max(1e-3, (nowMs - this.#since) / 1000);
      [this.#firstStep, this.#since] = [step, nowMs];
      return { tokensPerSecond: tokens / seconds, etaSeconds: seconds * (totalSteps - step) };
    }
    this.#tokens += tokens;
    const seconds = Math.max(1e-3, (nowMs - this.#since) / 1000);
    const steps = Math.max(1, step - this.#firstStep);
    return {
      tokensPerSecond: this.#tokens / seconds,
      etaSeconds: (seconds / steps) * Math.max(0, totalSteps - step),
    };
  }
}

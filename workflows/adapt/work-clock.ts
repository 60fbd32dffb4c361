/** What a clock shows, for a run that continues another. */
export interface ClockReading {
  /** When the first run began, in milliseconds since 1970. */
  readonly startedMs: number;
  /** Time that has passed since while a person was waited for. */
  readonly waitedMs: number;
}

/** Counts the seconds of work since the first run began: the clock stops while anything waits for a person. */
export class WorkClock {
  readonly #startedMs: number;
  #waitedMs: number;
  #waitingSinceMs: number | null = null;

  constructor({ startedMs, waitedMs }: ClockReading = { startedMs: Date.now(), waitedMs: 0 }) {
    this.#startedMs = startedMs;
    this.#waitedMs = waitedMs;
  }

  get reading(): ClockReading {
    return { startedMs: this.#startedMs, waitedMs: this.#waitedMs + this.#openMs() };
  }

  /** Whether anything waits for a person now. Several waits at once are one. */
  set waiting(waits: boolean) {
    if (waits) this.#waitingSinceMs ??= Date.now();
    else {
      this.#waitedMs += this.#openMs();
      this.#waitingSinceMs = null;
    }
  }

  get waiting(): boolean {
    return this.#waitingSinceMs !== null;
  }

  get seconds(): number {
    return (Date.now() - this.#startedMs - this.#waitedMs - this.#openMs()) / 1000;
  }

  #openMs(): number {
    return this.#waitingSinceMs === null ? 0 : Date.now() - this.#waitingSinceMs;
  }
}

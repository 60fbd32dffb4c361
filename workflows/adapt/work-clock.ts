/** Counts the seconds of work since the run began: the clock stands while anything waits for a person. */
export class WorkClock {
  readonly #startedMs = Date.now();
  #waitedMs = 0;
  #waitingSinceMs: number | null = null;

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

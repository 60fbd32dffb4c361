import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest stretch of computing between two turns of the event loop. */
const SLICE_MS = 30;

/**
 * Cuts a long computation on the event loop into slices, so that heartbeats, cancellations and other steps get their
 * turns: await `turn()` after each piece that is short by itself.
 */
export class Slices {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Lets others work when it is time to. Throws the signal's reason once it is aborted. */
  async turn(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await nextTurn();
    this.#signal?.throwIfAborted();
    this.#since = performance.now();
  }
}

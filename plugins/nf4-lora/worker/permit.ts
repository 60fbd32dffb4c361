interface Waiter {
  readonly grant: () => void;
}

/** One permit, handed out in the order of asking. Waiting can be given up through a signal. */
export class Permit {
  #taken = false;
  #waiters: Waiter[] = [];

  /** Waits for the permit and gives the function that returns it. Rejects with the signal's reason. */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#taken) await this.#wait(signal);
    this.#taken = true;
    let returned = false;
    return () => {
      if (returned) return;
      returned = true;
      const next = this.#waiters.shift();
      // Handed over without a gap, so that a newcomer cannot overtake those who wait.
      if (next === undefined) this.#taken = false;
      else next.grant();
    };
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal?.reason as Error);
      };
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      this.#waiters.push(waiter);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }
}

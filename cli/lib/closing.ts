/** What a command has opened and closes when it ends, whatever of its work is still under way then. */
export class Closing {
  readonly #closers: (() => Promise<void>)[] = [];
  #over = false;

  /**
   * Adds what ends a thing that is open or being opened. After the end it is ended at once, and an error ends the work
   * that still opens it.
   */
  async add(close: () => Promise<void>): Promise<void> {
    if (!this.#over) {
      this.#closers.push(close);
      return;
    }
    await close();
    throw new Error('The command has ended.');
  }

  /** Ends everything, the last one first; what fails is reported and keeps nothing else open. */
  async end(report: (error: unknown) => void): Promise<void> {
    this.#over = true;
    for (const close of this.#closers.splice(0).reverse()) await close().catch(report);
  }
}

/** The newest lines of a log, within bounds, for error messages. */
export class LogRing {
  readonly #maxLines: number;
  readonly #maxChars: number;
  #lines: string[] = [];
  #chars = 0;

  constructor(bounds: { maxLines?: number; maxChars?: number } = {}) {
    this.#maxLines = bounds.maxLines ?? 50;
    this.#maxChars = bounds.maxChars ?? 64 * 1024;
  }

  /** Adds a line; an over-long one keeps its end, which usually names the cause. */
  add(line: string): void {
    const kept = line.slice(-this.#maxChars);
    this.#lines.push(kept);
    this.#chars += kept.length;
    while (this.#lines.length > this.#maxLines || this.#chars > this.#maxChars) {
      this.#chars -= this.#lines.shift()?.length ?? 0;
    }
  }

  /** The newest `count` lines, oldest first. */
  last(count: number): readonly string[] {
    return this.#lines.slice(-count);
  }
}

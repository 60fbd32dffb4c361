/**
 * A failure of the set-up that a person can act on. `advice` says what to do, one line each;
 * `exitCode` is what a program that ends because of it should end with.
 */
export class BootstrapError extends Error {
  /**
   * @param {{ code: string, message: string, advice?: string[], exitCode?: number, cause?: unknown }} fields
   */
  constructor({ code, message, advice = [], exitCode = 1, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'BootstrapError';
    /** Stable machine-readable code, e.g. `SETUP_MODEL_TRUNCATED`. */
    this.code = code;
    this.advice = advice;
    this.exitCode = exitCode;
  }
}

/**
 * The text to print for any error: message and advice for ours, the stack for an unexpected one.
 * @param {unknown} error
 * @returns {string}
 */
export function explain(error) {
  if (error instanceof BootstrapError) {
    return [error.message, ...error.advice.map((line) => `  ${line}`)].join('\n');
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

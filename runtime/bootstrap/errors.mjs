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

/** What the system refuses to a set-up, and what a person can do. @type {Readonly<Record<string, string>>} */
const REFUSALS = {
  ENOSPC: 'The disk is full: free about 3 GB, or set ESCADA_CACHE_DIR to a folder on another disk.',
  EDQUOT: 'Your quota is used up: free about 3 GB, or set ESCADA_CACHE_DIR to a folder elsewhere.',
  EACCES: 'Give yourself the right to it, or set ESCADA_CACHE_DIR to a folder of your own.',
  EPERM: 'Give yourself the right to it, or set ESCADA_CACHE_DIR to a folder of your own.',
  EROFS: 'This file system is read-only: set ESCADA_CACHE_DIR to a folder that can be written to.',
  ENOTDIR:
    'There is a file where a folder should be: move it away, or set ESCADA_CACHE_DIR to another folder.',
};

/** Exit code of a set-up that was interrupted. */
export const INTERRUPTED = 130;

/**
 * The text to print for any error: message and advice. A stack only where `ESCADA_DEBUG` asks for it.
 * @param {unknown} error
 * @param {{ ESCADA_DEBUG?: string | undefined }} [env]
 * @returns {string}
 */
export function explain(error, env = process.env) {
  if (error instanceof BootstrapError) {
    return [error.message, ...error.advice.map((line) => `  ${line}`)].join('\n');
  }
  if (!(error instanceof Error)) return String(error);
  if (isInterruption(error)) return 'Stopped. What was fetched and compiled so far is kept.';
  if (env.ESCADA_DEBUG) return error.stack ?? error.message;
  const { code = '' } = /** @type {NodeJS.ErrnoException} */ (error);
  const advice = REFUSALS[code] ?? 'ESCADA_DEBUG=1 shows where in the program that happened.';
  return `The set-up failed: ${error.message}\n  ${advice}`;
}

/**
 * What a program ends with because of an error.
 * @param {unknown} error
 * @returns {number}
 */
export function exitCodeOf(error) {
  if (error instanceof BootstrapError) return error.exitCode;
  return error instanceof Error && isInterruption(error) ? INTERRUPTED : 1;
}

/** @param {Error} error */
function isInterruption(error) {
  return error.name === 'AbortError' || error.message === 'interrupted';
}

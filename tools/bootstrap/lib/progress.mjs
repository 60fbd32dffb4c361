// Set-up talks on standard error, one line per event with the seconds since the start, so that standard output
// stays the program's own.

const STILL_BUSY_EVERY_MS = 30_000;

/**
 * @typedef {object} Step One piece of set-up work.
 * @property {(text: string) => void} note Something worth a line while it runs.
 * @property {(text: string) => void} done Ends the step.
 * @property {() => void} fail Ends the step without a line; the error is printed by whoever catches it.
 */

/**
 * @typedef {object} Progress
 * @property {(name: string, doing: string) => Step} step Starts a step; `doing` says what takes long and how to
 *   shorten it.
 * @property {(name: string, text: string) => void} line One line of a step that took no time.
 * @property {() => number} seconds Since the start.
 * @property {() => void} close Stops the timer.
 */

/**
 * @param {{ write?: (line: string) => void, nowMs?: () => number }} [options]
 * @returns {Progress}
 */
export function createProgress({ write = (line) => void process.stderr.write(line), nowMs = Date.now } = {}) {
  const startMs = nowMs();
  const seconds = () => (nowMs() - startMs) / 1000;
  /** @type {Map<string, number>} */
  const busy = new Map();
  /** @param {string} name @param {string} text */
  const line = (name, text) => write(`[${seconds().toFixed(0).padStart(4)} s] ${name}: ${text}\n`);
  const timer = setInterval(() => {
    const names = [...busy].map(([name, since]) => `${name} (${((nowMs() - since) / 1000).toFixed(0)} s)`);
    if (names.length > 0) line('still busy', names.join(', '));
  }, STILL_BUSY_EVERY_MS);
  timer.unref();
  return {
    seconds,
    line,
    close: () => clearInterval(timer),
    step(name, doing) {
      const sinceMs = nowMs();
      busy.set(name, sinceMs);
      line(name, doing);
      return {
        note: (text) => line(name, text),
        done: (text) => {
          busy.delete(name);
          line(name, `${text} (${((nowMs() - sinceMs) / 1000).toFixed(1)} s)`);
        },
        fail: () => void busy.delete(name),
      };
    },
  };
}

/** Says nothing; for callers that report in their own way. @type {Progress} */
export const silentProgress = {
  step: () => ({ note: () => undefined, done: () => undefined, fail: () => undefined }),
  line: () => undefined,
  seconds: () => 0,
  close: () => undefined,
};

/**
 * Runs `work` as one step: its result is described by `describe`, a throw ends the step and goes on to the caller.
 * @template T
 * @param {Progress} progress
 * @param {string} name
 * @param {string} doing
 * @param {(step: Step) => Promise<T>} work
 * @param {(result: T) => string} describe
 * @returns {Promise<T>}
 */
export async function asStep(progress, name, doing, work, describe) {
  const step = progress.step(name, doing);
  try {
    const result = await work(step);
    step.done(describe(result));
    return result;
  } catch (error) {
    step.fail();
    throw error;
  }
}

// Set-up talks on standard error, one line per event with the seconds since the start, so that standard output
// stays the program's own. What takes long says every few seconds what it is at, never only that it still runs.
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

const STATE_EVERY_MS = 10_000;

/**
 * @typedef {object} Step One piece of set-up work.
 * @property {(text: string) => void} note Something worth a line while it runs.
 * @property {(state: string) => void} now What it is at; said from time to time, the latest only.
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
  /** @type {Map<string, { state: string }>} */
  const busy = new Map();
  /** @param {string} name @param {string} text */
  const line = (name, text) => write(`[${seconds().toFixed(0).padStart(4)} s] ${name}: ${text}\n`);
  const timer = setInterval(() => {
    for (const [name, { state }] of busy) line(name, state);
  }, STATE_EVERY_MS);
  timer.unref();
  return {
    seconds,
    line,
    close: () => clearInterval(timer),
    step(name, doing) {
      const sinceMs = nowMs();
      const current = { state: doing };
      busy.set(name, current);
      line(name, doing);
      return {
        note: (text) => line(name, text),
        now: (state) => void (current.state = state),
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
  step: () => ({ note: () => undefined, now: () => undefined, done: () => undefined, fail: () => undefined }),
  line: () => undefined,
  seconds: () => 0,
  close: () => undefined,
};

/**
 * Runs `work` as one step: its result is described by `describe`, a throw ends the step and is passed to the caller.
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

/**
 * How much a folder holds by now, for what reports no progress of its own. A file that goes meanwhile does not count.
 * @param {string} folder
 * @returns {Promise<number>}
 */
export async function watchedBytes(folder) {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const place = path.join(folder, entry.name);
      if (entry.isDirectory()) return watchedBytes(place);
      return (await stat(place).catch(() => null))?.size ?? 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

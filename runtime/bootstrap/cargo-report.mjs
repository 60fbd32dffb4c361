import { withoutEscapes } from './exec.mjs';

/** @typedef {import('../../tools/test/reporter.mjs').Summary} Summary */

/**
 * Counts and names out of what `cargo test` prints. A crate that does not compile, or a test program that dies,
 * prints no counts: the caller sees that from the exit code.
 * @param {string} output
 * @returns {Summary}
 */
export function parseCargoTests(output) {
  /** @type {Summary} */
  const summary = { passed: 0, failed: 0, skipped: [], failures: [] };
  let program = 'cargo';
  for (const line of output.split('\n')) {
    const running = /^\s*Running (?:unittests |tests\/)?(\S+) \(.*\/([\w-]+)-[0-9a-f]+\)/.exec(line);
    const docTests = /^\s*Doc-tests (\S+)/.exec(line);
    if (running) program = `${running[2] ?? ''} ${running[1] ?? ''}`;
    if (docTests) program = `${docTests[1] ?? ''} (documentation)`;
    readLine(line, program, summary);
  }
  return summary;
}

/**
 * @param {string} line
 * @param {string} program
 * @param {Summary} summary
 */
function readLine(line, program, summary) {
  const ended = /^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored;/.exec(line);
  if (ended) {
    summary.passed += Number(ended[1]);
    summary.failed += Number(ended[2]);
    return;
  }
  const single = /^test (.+?) \.\.\. (FAILED|ignored)(?:, (.*))?$/.exec(line);
  if (single === null) return;
  const [, name = '', outcome, reason] = single;
  if (outcome === 'FAILED') summary.failures.push({ file: program, name, reason: 'see above' });
  else summary.skipped.push({ file: program, name, reason: reason ?? 'no reason given' });
}

/**
 * What cargo is at, from a piece of what it prints with its progress bar switched on.
 * @param {string} text
 * @returns {string | null} null when the piece does not say.
 */
export function cargoState(text) {
  const plain = withoutEscapes(text);
  const building = [...plain.matchAll(/Building \[[^\]]*\] (\d+)\/(\d+)(?:: ([^\r\n]+))?/g)].at(-1);
  if (building !== undefined) {
    const [, done = '', all = '', crates] = building;
    // Cargo cuts a long list with an ellipsis of its own.
    return crates === undefined
      ? `crate ${done} of ${all}`
      : `compiling ${crates.trim()} (${done} of ${all} done)`;
  }
  const fetching = [...plain.matchAll(/(Downloaded|Downloading|Updating) ([^\r\n]+)/g)].at(-1);
  return fetching === undefined ? null : `${(fetching[1] ?? '').toLowerCase()} ${(fetching[2] ?? '').trim()}`;
}

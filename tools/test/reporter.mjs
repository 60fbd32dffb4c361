// A reporter for `node --test`: one line per test file, failures in full, and the counts as JSON in the file named
// by ESCADA_TEST_SUMMARY for the program that runs the tiers.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';

/**
 * @typedef {{ file: string, name: string, reason: string }} Named
 * @typedef {{ passed: number, failed: number, skipped: Named[], failures: Named[] }} Summary
 * @typedef {import('node:test/reporters').TestEvent} TestEvent
 * @typedef {{ passed: number, failed: number, skipped: number, output: string[] }} FileCounts
 */

/**
 * @param {AsyncIterable<TestEvent>} events
 * @returns {AsyncGenerator<string>}
 */
export default async function* reporter(events) {
  /** @type {Summary} */
  const summary = { passed: 0, failed: 0, skipped: [], failures: [] };
  /** @type {Map<string, FileCounts>} */
  const files = new Map();
  for await (const event of events) {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      countsOf(files, event.data.file).output.push(event.data.message);
    } else if (event.type === 'test:pass' || event.type === 'test:fail') {
      yield* result(event, summary, countsOf(files, event.data.file));
    } else if (event.type === 'test:summary' && event.data.file !== undefined) {
      const millis = /** @type {{ duration_ms?: number }} */ (event.data).duration_ms ?? 0;
      yield fileLine(event.data.file, countsOf(files, event.data.file), millis);
    }
  }
  const summaryFile = process.env.ESCADA_TEST_SUMMARY;
  if (summaryFile !== undefined) writeFileSync(summaryFile, JSON.stringify(summary));
}

/**
 * Counts one result. A suite, or a test that failed only through its subtests, is not counted beside them; a skipped
 * suite is, since its tests are never seen.
 * @param {Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>} event
 * @param {Summary} summary
 * @param {FileCounts} counts
 */
function* result(event, summary, counts) {
  const { name, details, skip } = event.data;
  const file = shown(event.data.file);
  if (skip !== undefined) {
    counts.skipped += 1;
    summary.skipped.push({ file, name, reason: typeof skip === 'string' ? skip : 'no reason given' });
  } else if (event.type === 'test:pass') {
    if (details.type === 'suite') return;
    counts.passed += 1;
    summary.passed += 1;
  } else {
    const error = /** @type {{ failureType?: string, cause?: unknown }} */ (event.data.details.error);
    if (error.failureType === 'subtestsFailed') return;
    counts.failed += 1;
    summary.failed += 1;
    const text = typeof error.cause === 'string' ? error.cause : inspect(error.cause ?? error);
    summary.failures.push({ file, name, reason: text.split('\n')[0] ?? '' });
    yield `  FAILED ${file}: ${name}\n${indent(text)}\n${indent(counts.output.join('').trimEnd())}`;
  }
}

/**
 * @param {string} file
 * @param {FileCounts} counts
 * @param {number} millis
 */
function fileLine(file, counts, millis) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  const mark = counts.failed > 0 ? `${counts.failed} failed, ` : '';
  return `  ${shown(file)}: ${mark}${counts.passed} passed${skipped} (${(millis / 1000).toFixed(1)} s)\n`;
}

/**
 * @param {Map<string, FileCounts>} files
 * @param {string | undefined} file
 * @returns {FileCounts}
 */
function countsOf(files, file) {
  // Output events name the file as it was given on the command line, results by its absolute path.
  const key = shown(file);
  let counts = files.get(key);
  if (counts === undefined) {
    counts = { passed: 0, failed: 0, skipped: 0, output: [] };
    files.set(key, counts);
  }
  return counts;
}

/** @param {string | undefined} file */
function shown(file) {
  return file === undefined ? '(unknown file)' : path.relative(process.cwd(), path.resolve(file));
}

/** @param {string} text */
function indent(text) {
  return text === '' ? '' : `${text.replaceAll(/^/gm, '    ')}\n`;
}

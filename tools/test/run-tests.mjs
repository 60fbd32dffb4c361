// Runs one tier of tests and returns its counts.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseCargoTests } from '../../runtime/bootstrap/cargo-report.mjs';
import { cargoEnv } from '../../runtime/bootstrap/cargo-target.mjs';
import { run } from '../../runtime/bootstrap/exec.mjs';
import { ownNode } from '../../runtime/bootstrap/own-node.mjs';
import { runProgram } from '../../runtime/bootstrap/program.mjs';

/** @typedef {import('./reporter.mjs').Summary} Summary */
/** @typedef {{ root: string, env: import('../../runtime/bootstrap/exec.mjs').Env }} Place */

/** Formatting, lint and types: each is one check that passes or fails. @type {[string, string, string[]][]} */
const CHECKS = [
  ['prettier', 'node_modules/.bin/prettier', ['--check', '--log-level=warn', '.']],
  ['eslint', 'node_modules/.bin/eslint', ['.']],
  ['tsc', 'node_modules/.bin/tsc', ['-p', '.']],
  ['cargo fmt', 'cargo', ['fmt', '--all', '--check']],
  ['cargo clippy', 'cargo', ['clippy', '--workspace', '--locked', '--quiet', '--', '-D', 'warnings']],
];

/** @returns {Summary} */
export function noTests() {
  return { passed: 0, failed: 0, skipped: [], failures: [] };
}

/**
 * @param {Summary} a
 * @param {Summary} b
 * @returns {Summary}
 */
export function addSummaries(a, b) {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: [...a.skipped, ...b.skipped],
    failures: [...a.failures, ...b.failures],
  };
}

/**
 * Tier 0. Node's tools run under the Node that npm installed, whatever started this program.
 * @param {Place} place
 * @returns {Promise<Summary>}
 */
export async function runChecks({ root, env }) {
  const summary = noTests();
  const checkEnv = withTools(root, await cargoEnv({ root, env }));
  for (const [name, program, args] of CHECKS) {
    const startMs = Date.now();
    const { code, output } = await run(program, args, { cwd: root, env: checkEnv });
    const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
    process.stdout.write(`  ${name}: ${code === 0 ? 'passed' : 'FAILED'} (${seconds} s)\n`);
    if (code === 0) summary.passed += 1;
    else {
      summary.failed += 1;
      summary.failures.push({ file: 'check', name, reason: `ended with ${code}` });
      process.stdout.write(`${output.trimEnd()}\n`);
    }
  }
  return summary;
}

/**
 * Test files through `node --test`.
 * @param {Place & { files: string[], tier: import('./tiers.mjs').Tier }} options
 * @returns {Promise<Summary>}
 */
export async function runTestFiles({ root, env, files, tier }) {
  if (files.length === 0) return noTests();
  const room = await mkdtemp(path.join(os.tmpdir(), 'escada-test-'));
  const summaryFile = path.join(room, 'summary.json');
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--test',
    `--test-timeout=${tier.timeoutMs}`,
    `--test-concurrency=${tier.parallel ? Math.max(1, os.cpus().length) : 1}`,
    '--test-reporter=./tools/test/reporter.mjs',
    '--test-reporter-destination=stdout',
    ...files,
  ];
  try {
    const testEnv = withTools(root, { ...env, ESCADA_TEST_SUMMARY: summaryFile });
    const code = await runProgram(await ownNode(root), args, {
      cwd: root,
      env: testEnv,
    });
    const text = await readFile(summaryFile, 'utf8').catch(() => null);
    const summary = text === null ? noTests() : /** @type {Summary} */ (JSON.parse(text));
    return orBroken(summary, code, 'node --test');
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

/**
 * The tests of every crate.
 * @param {Place} place
 * @returns {Promise<Summary>}
 */
export async function runCargoTests({ root, env }) {
  const forCargo = { ...(await cargoEnv({ root, env })), CARGO_TERM_COLOR: 'never' };
  const args = ['test', '--workspace', '--locked', '--no-fail-fast'];
  const { code, output } = await run('cargo', args, { cwd: root, env: forCargo });
  const summary = orBroken(parseCargoTests(output), code, 'cargo test');
  process.stdout.write(`  cargo test: ${summary.passed} passed, ${summary.failed} failed\n`);
  if (code !== 0) process.stdout.write(`${output.trimEnd()}\n`);
  return summary;
}

/**
 * A run that failed without naming a failed test is itself a failure; it must never pass as "0 failed".
 * @param {Summary} summary
 * @param {number} code
 * @param {string} name
 * @returns {Summary}
 */
function orBroken(summary, code, name) {
  if (code === 0 || summary.failed > 0) return summary;
  const failure = { file: name, name: 'the run itself', reason: `ended with ${code} before its tests did` };
  return { ...summary, failed: 1, failures: [failure] };
}

/**
 * @param {string} root
 * @param {import('../../runtime/bootstrap/exec.mjs').Env} env
 * @returns {import('../../runtime/bootstrap/exec.mjs').Env}
 */
function withTools(root, env) {
  return { ...env, PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${env.PATH ?? ''}` };
}

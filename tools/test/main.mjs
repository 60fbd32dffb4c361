// `npm test`: sets the machine up as `npm start` does, then runs the tiers in order.
//   npm test                         everything
//   npm test -- --tier 1             one tier; --tier 0,1,2 several
//   npm test -- test/x.test.ts …     these files
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBrowser } from './browser.mjs';
import { BootstrapError, exitCodeOf, explain } from '../../runtime/bootstrap/errors.mjs';
import { installPackages } from '../../runtime/bootstrap/packages.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { addSummaries, noTests, runCargoTests, runChecks, runTestFiles } from './run-tests.mjs';
import { programEnvironment, setUp } from '../../runtime/bootstrap/set-up.mjs';
import { BROWSER_TIER, TIERS, listTestFiles, tierOf } from './tiers.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** Tiers that need nothing but the npm packages: a quick check must not wait for a server to be built. */
const LIGHT_TIERS = new Set([0, 1, 3]);

/** @typedef {{ tiers: Set<number> | null, files: string[] }} Selection `tiers` null: all, or those of the files. */

/**
 * @param {string[]} args
 * @returns {Selection}
 */
function parseArguments(args) {
  /** @type {Selection} */
  const selection = { tiers: null, files: [] };
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (arg === '--tier') {
      at += 1;
      selection.tiers = parseTiers(args[at] ?? '');
    } else if (arg.startsWith('-')) throw usage(`unknown option ${arg}`);
    else selection.files.push(path.relative(root, path.resolve(process.env.INIT_CWD ?? '.', arg)));
  }
  return selection;
}

/** @param {string} list */
function parseTiers(list) {
  const numbers = list.split(',').map(Number);
  const known = TIERS.map(({ number }) => number);
  if (list === '' || numbers.some((number) => !known.includes(number))) {
    throw usage(`--tier takes numbers from ${known.join(', ')}`);
  }
  return new Set(numbers);
}

/** @param {string} problem */
function usage(problem) {
  const advice = ['npm test', 'npm test -- --tier 1', 'npm test -- test/some/file.test.ts'];
  return new BootstrapError({ code: 'SETUP_USAGE', exitCode: 2, message: `npm test: ${problem}`, advice });
}

/**
 * @param {Set<number>} tiers
 * @returns {Promise<import('../../runtime/bootstrap/exec.mjs').Env>} The environment for the tests.
 */
async function prepare(tiers) {
  const progress = createProgress();
  try {
    if ([...tiers].every((tier) => LIGHT_TIERS.has(tier))) {
      await installPackages({ root, progress });
      return process.env;
    }
    // Before the long builds: a browser that is missing and cannot be installed is reported at once.
    const browser = tiers.has(BROWSER_TIER) ? await ensureBrowser({ progress }) : null;
    const ready = await setUp({ root, progress });
    progress.line('ready', `set-up took ${progress.seconds().toFixed(1)} s`);
    const env = programEnvironment(ready, progress.seconds());
    return browser === null ? env : { ...env, CHROMIUM_PATH: browser };
  } finally {
    progress.close();
  }
}

/**
 * @param {import('./tiers.mjs').Tier} tier
 * @param {Selection} selection
 * @param {import('../../runtime/bootstrap/exec.mjs').Env} env
 */
async function runTier(tier, selection, env) {
  if (tier.number === 0) return runChecks({ root, env });
  const chosen = selection.files.length > 0 ? selection.files : await listTestFiles(root);
  const files = chosen.filter((file) => tierOf(file) === tier.number);
  const native = tier.number === 4 && selection.files.length === 0;
  const cargo = native ? await runCargoTests({ root, env }) : noTests();
  return addSummaries(cargo, await runTestFiles({ root, env, files, tier }));
}

async function main() {
  const selection = parseArguments(process.argv.slice(2));
  const ofFiles =
    selection.files.length > 0 ? selection.files.map(tierOf) : TIERS.map(({ number }) => number);
  const tiers = selection.tiers ?? new Set(ofFiles);
  const env = await prepare(tiers);
  let total = noTests();
  for (const tier of TIERS.filter(({ number }) => tiers.has(number))) {
    process.stdout.write(`\ntier ${tier.number}, ${tier.name}\n`);
    const startMs = Date.now();
    const summary = await runTier(tier, selection, env);
    const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
    process.stdout.write(`tier ${tier.number}: ${countsLine(summary)} in ${seconds} s\n`);
    total = addSummaries(total, summary);
  }
  report(total);
  return total.failed > 0 ? 1 : 0;
}

/** @param {import('./reporter.mjs').Summary} summary */
function countsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped.length} skipped`;
}

/** @param {import('./reporter.mjs').Summary} total */
function report(total) {
  const lines = [];
  for (const { file, name, reason } of total.skipped) lines.push(`skipped: ${file}: ${name} (${reason})`);
  for (const { file, name, reason } of total.failures) lines.push(`failed: ${file}: ${name} (${reason})`);
  process.stdout.write(`\n${[...lines, countsLine(total)].join('\n')}\n`);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (/** @type {unknown} */ error) => {
    process.stderr.write(`\n${explain(error)}\n`);
    process.exitCode = exitCodeOf(error);
  },
);

// The browser of the last test tier. Nothing but tests needs one, so that the set-up itself never asks for it.
import { BootstrapError } from '../../runtime/bootstrap/errors.mjs';
import { findOnPath, isExecutable, runOrFail } from '../../runtime/bootstrap/exec.mjs';
import { asStep } from '../../runtime/bootstrap/progress.mjs';

/** @typedef {import('../../runtime/bootstrap/exec.mjs').Env} Env */

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/**
 * A Chromium on this machine: `CHROMIUM_PATH`, or one of its names on PATH.
 * @param {Env} [env]
 * @returns {Promise<string | null>}
 * @throws {BootstrapError} `SETUP_BROWSER` when `CHROMIUM_PATH` names no program.
 */
export async function findBrowser(env = process.env) {
  const { CHROMIUM_PATH: given } = env;
  if (given !== undefined && given !== '') {
    if (await isExecutable(given)) return given;
    throw new BootstrapError({
      code: 'SETUP_BROWSER',
      exitCode: 2,
      message: `CHROMIUM_PATH is ${given}, which is not a program that can be run.`,
      advice: ['Set it to a Chromium or Chrome, or unset it to have one found on PATH.'],
    });
  }
  for (const name of NAMES) {
    const found = await findOnPath(name, env);
    if (found !== null) return found;
  }
  return null;
}

/**
 * Finds Chromium, or installs Debian's package when this is root on a machine that has `apt-get`.
 * @param {{ progress: import('../../runtime/bootstrap/progress.mjs').Progress, env?: Env, userId?: number }} options
 * @returns {Promise<string>}
 * @throws {BootstrapError} `SETUP_BROWSER` with what to install.
 */
export async function ensureBrowser({ progress, env = process.env, userId = process.getuid?.() }) {
  const found = await findBrowser(env);
  if (found !== null) return found;
  const apt = userId === 0 ? await findOnPath('apt-get', env) : null;
  if (apt === null) throw missing('There is no Chromium on PATH.');
  await asStep(
    progress,
    'browser',
    'installing the package chromium (one minute; only the browser tests need it)',
    () => installWith(apt, env),
    () => 'chromium installed',
  );
  const installed = await findBrowser(env);
  if (installed === null) throw missing('The package chromium was installed, but brought no such program.');
  return installed;
}

/**
 * @param {string} apt
 * @param {Env} env
 */
async function installWith(apt, env) {
  const quiet = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } };
  await runOrFail('apt-get update', apt, ['update', '-q'], quiet);
  await runOrFail(
    'apt-get install chromium',
    apt,
    ['install', '-qy', '--no-install-recommends', 'chromium'],
    quiet,
  );
}

/** @param {string} message */
function missing(message) {
  return new BootstrapError({
    code: 'SETUP_BROWSER',
    exitCode: 2,
    message: `${message} The browser tests (tier 6) need one.`,
    advice: [
      'Debian: apt-get install chromium; Ubuntu: snap install chromium; Fedora: dnf install chromium;',
      'macOS: brew install --cask chromium; or set CHROMIUM_PATH to a Chromium or Chrome.',
      'All other tests: npm test -- --tier 0,1,2,3,4,5',
    ],
  });
}

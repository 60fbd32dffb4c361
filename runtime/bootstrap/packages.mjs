import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { runOrFail } from './exec.mjs';
import { asStep } from './progress.mjs';

/** @typedef {{ packages: Record<string, { version?: string, integrity?: string, optional?: boolean,
 *   link?: boolean, os?: string | string[], cpu?: string | string[] }> }} LockFile */

/**
 * Whether `node_modules` holds exactly what `package-lock.json` says. npm itself records what it installed in
 * `node_modules/.package-lock.json`; packages that are optional (other platforms' binaries) may be absent.
 * @param {string} root Repository root.
 * @returns {Promise<boolean>}
 */
export async function packagesAreCurrent(root) {
  const [wanted, installed] = await Promise.all([
    readLock(path.join(root, 'package-lock.json')),
    readLock(path.join(root, 'node_modules', '.package-lock.json')),
  ]);
  if (wanted === null || installed === null) return false;
  for (const [place, entry] of Object.entries(wanted.packages)) {
    if (place === '') continue;
    const there = installed.packages[place];
    if (there === undefined && entry.optional === true) continue;
    if (there?.version !== entry.version || there?.integrity !== entry.integrity) return false;
  }
  return true;
}

/**
 * Installs the npm packages when they are missing or not those of the lock file.
 * @param {{ root: string, progress: import('./progress.mjs').Progress, env?: import('./exec.mjs').Env,
 *   signal?: AbortSignal }} options
 */
export async function installPackages({ root, progress, env = process.env, signal }) {
  if (await packagesAreCurrent(root)) {
    progress.line('packages', 'npm packages are installed');
    return;
  }
  // Not `npm ci`: it refuses a lock file without the optional packages of other platforms, which a registry mirror
  // may not carry. This takes the same locked versions and digests, and leaves both package files alone.
  // Scripts of packages stay out (.npmrc says so too, but an environment may overrule it).
  const args = ['install', '--no-save', '--no-fund', '--no-audit', '--ignore-scripts', '--loglevel=http'];
  const count = await countPackages(root);
  await asStep(
    progress,
    'packages',
    `installing ${count} npm packages`,
    ({ now }) => {
      const onText = requestCounter(count, now);
      return runOrFail('npm install', 'npm', args, { cwd: root, env, signal, onText });
    },
    () => 'npm packages installed',
  );
}

/**
 * How many packages of the lock file belong on this machine.
 * @param {string} root
 */
async function countPackages(root) {
  const lock = await readLock(path.join(root, 'package-lock.json'));
  /** @param {string | string[] | undefined} names @param {string} own */
  const allows = (names, own) => names === undefined || [names].flat().includes(own);
  const fits = Object.values(lock?.packages ?? {}).filter(
    ({ integrity, os, cpu }) =>
      integrity !== undefined && allows(os, process.platform) && allows(cpu, process.arch),
  );
  return fits.length;
}

/**
 * Follows npm's own log of requests: one to look each package up, one for its bytes.
 * @param {number} count
 * @param {(state: string) => void} now
 * @returns {(text: string) => void}
 */
export function requestCounter(count, now) {
  let [found, fetched] = [0, 0];
  return (text) => {
    for (const [, url = ''] of text.matchAll(/^npm http (?:fetch GET 200|cache) (\S+)/gm)) {
      const tarball = /([^/]+)\.tgz$/.exec(url)?.[1];
      if (tarball === undefined) found += 1;
      else fetched += 1;
      if (fetched === 0) now(`looked up ${found} of ${count} npm packages`);
      else if (fetched < count) now(`fetched ${fetched} of ${count} npm packages`);
      else now(`unpacking ${count} npm packages`);
    }
  };
}

/**
 * @param {string} file
 * @returns {Promise<LockFile | null>} null when there is no such file or it cannot be read as a lock file.
 */
async function readLock(file) {
  try {
    const lock = /** @type {Partial<LockFile>} */ (JSON.parse(await readFile(file, 'utf8')));
    return lock.packages === undefined ? null : { packages: lock.packages };
  } catch {
    return null;
  }
}

// Where cargo builds. All checkouts share one folder, so that a second clone has the dependencies compiled already.
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from './cache-folder.mjs';
import { runOrFail } from './exec.mjs';

/** Holds the path of the checkout that built last. */
const STAMP = '.escada-checkout';

/**
 * @param {import('./exec.mjs').Env} [env]
 * @returns {string}
 */
export function cargoTargetFolder(env = process.env) {
  return env.CARGO_TARGET_DIR || path.join(cacheFolder(env), 'cargo-target');
}

/**
 * The environment to run cargo with, and the target folder made ready for this checkout.
 *
 * Cargo knows a workspace's crates by their place within it and by the age of their files: in a shared folder it takes
 * what another checkout built for its own, when that was built later than these files were written. So the crates of
 * the workspace, not their dependencies, are cleaned whenever another checkout built last.
 * @param {{ root: string, env?: import('./exec.mjs').Env, signal?: AbortSignal }} place
 * @returns {Promise<import('./exec.mjs').Env & { CARGO_TARGET_DIR: string }>}
 */
export async function cargoEnv({ root, env = process.env, signal }) {
  const target = cargoTargetFolder(env);
  const own = { ...env, CARGO_TARGET_DIR: target };
  const stamp = path.join(target, STAMP);
  if ((await readFile(stamp, 'utf8').catch(() => null)) === root) return own;
  // The first build of a machine has nothing to clean, and cargo would ask the registry what there might be.
  if (await isFolder(target)) await cleanWorkspace({ root, env: own, signal });
  await mkdir(target, { recursive: true });
  await writeFile(stamp, root);
  return own;
}

/** @param {{ root: string, env: import('./exec.mjs').Env, signal?: AbortSignal }} place */
async function cleanWorkspace({ root, env, signal }) {
  const where = { cwd: root, env, signal };
  const args = ['metadata', '--no-deps', '--offline', '--format-version', '1'];
  /** @type {{ packages: { name: string }[] }} */
  const { packages } = JSON.parse(await runOrFail('cargo metadata', 'cargo', args, where));
  const names = packages.flatMap(({ name }) => ['-p', name]);
  for (const profile of [[], ['--release']]) {
    await runOrFail('cargo clean', 'cargo', ['clean', '--quiet', ...profile, ...names], where);
  }
}

/** @param {string} folder */
async function isFolder(folder) {
  return await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

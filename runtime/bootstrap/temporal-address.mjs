// Whether a Temporal server runs already, by Temporal's own settings.
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** @typedef {import('./exec.mjs').Env} Env */

/**
 * The server of `TEMPORAL_ADDRESS` or of an environment profile, and which of them named it.
 * @param {Env} env
 * @returns {Promise<{ kind: 'address', address: string, from: string } | null>}
 */
export async function addressFromEnvironment(env) {
  if (env.TEMPORAL_ADDRESS)
    return { kind: 'address', address: env.TEMPORAL_ADDRESS, from: 'TEMPORAL_ADDRESS' };
  const file = env.TEMPORAL_CONFIG_FILE || defaultConfigFile(env);
  const text = await readFile(file, 'utf8').catch(() => null);
  const profile = env.TEMPORAL_PROFILE || 'default';
  const address = text === null ? null : addressOfProfile(text, profile);
  return address === null ? null : { kind: 'address', address, from: `profile ${profile} of ${file}` };
}

/** @param {Env} env */
function defaultConfigFile(env) {
  const home = env.HOME || os.homedir();
  const folder =
    process.platform === 'darwin'
      ? path.join(home, 'Library', 'Application Support')
      : env.XDG_CONFIG_HOME || path.join(home, '.config');
  return path.join(folder, 'temporalio', 'temporal.toml');
}

/**
 * The `address` of one `[profile.<name>]` table. Only this one key is needed before packages are installed; the
 * program itself reads the file with Temporal's own loader.
 * @param {string} toml
 * @param {string} profile
 * @returns {string | null}
 */
function addressOfProfile(toml, profile) {
  let inside = false;
  for (const line of toml.split('\n')) {
    const table = /^\s*\[\s*profile\.(?:"([^"]+)"|([\w-]+))\s*\]/.exec(line);
    if (table) inside = (table[1] ?? table[2]) === profile;
    else if (/^\s*\[/.test(line)) inside = false;
    const value = inside ? /^\s*address\s*=\s*["']([^"']+)["']/.exec(line) : null;
    if (value?.[1] !== undefined) return value[1];
  }
  return null;
}

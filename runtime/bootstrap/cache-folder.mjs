// Where the user cache is: one rule for set-up, which runs before anything is installed, and for the product.
import os from 'node:os';
import path from 'node:path';

/** @type {(value: string | undefined) => value is string} An empty or blank variable counts as not set. */
const isSet = (value) => value !== undefined && value.trim() !== '';

/**
 * The folder of everything that was built or fetched once for this user, as an absolute path.
 * @param {Readonly<Record<string, string | undefined>>} [env]
 * @returns {string} `ESCADA_CACHE_DIR`, else `$XDG_CACHE_HOME/escada`, else `~/.cache/escada`.
 */
export function cacheFolder(env = process.env) {
  const { ESCADA_CACHE_DIR: own, XDG_CACHE_HOME: shared, HOME: home } = env;
  if (isSet(own)) return path.resolve(own);
  const parent = isSet(shared) ? shared : path.join(isSet(home) ? home : os.homedir(), '.cache');
  return path.resolve(parent, 'escada');
}

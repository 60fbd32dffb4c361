// Where the Temporal server comes from. Order: an address or profile of the environment, TEMPORAL_CLI_PATH, the
// sources if ESCADA_TEMPORAL_FROM_SOURCE asks for them, `temporal` on PATH, the pinned CLI in the user cache.
import path from 'node:path';
import { BootstrapError } from './errors.mjs';
import { findAllOnPath, isExecutable, run } from './exec.mjs';
import { addressFromEnvironment } from './temporal-address.mjs';
import { PINNED_CLI, ensurePinnedProgram, findPinnedProgram } from './temporal-program.mjs';
import { ensureBuiltProgram, findBuiltProgram, sourceOfCli } from './temporal-source.mjs';
import { isAtLeast, versionIn } from './versions.mjs';

/** The first CLI whose server knows Update-with-Start and user metadata, which Escada's runs use. */
export const OLDEST_CLI = '1.3.0';

/** @typedef {import('./exec.mjs').Env} Env */

/**
 * @typedef {{ kind: 'address', address: string | null, from: string }
 *   | { kind: 'cli', path: string, from: 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache', version: string }
 *   | { kind: 'fetch' | 'build', version: string }} FoundServer
 *   `address`: a server runs already (null: the environment profile knows where); `cli`: this program can start
 *   one; `fetch`, `build`: the pinned CLI has to be fetched or, by choice, built first.
 */

/**
 * Finds the server without fetching, building or starting anything.
 * @param {{ root: string, env?: Env, onNote?: (text: string) => void }} options `root` is the repository root;
 *   `onNote` hears why a candidate was skipped.
 * @returns {Promise<FoundServer>}
 */
export async function findServer({ root, env = process.env, onNote = () => undefined }) {
  const running = await addressFromEnvironment(env);
  if (running !== null) return running;
  if (env.TEMPORAL_CLI_PATH) return cliFromSetting(env.TEMPORAL_CLI_PATH, env);
  if (wantsSource(env)) {
    const { version } = await sourceOfCli(root);
    const built = await findBuiltProgram({ root, env });
    return built === null ? { kind: 'build', version } : { kind: 'cli', path: built, from: 'cache', version };
  }
  for (const candidate of await findAllOnPath('temporal', env)) {
    const version = await cliVersion(candidate, env);
    if (version !== null && isAtLeast(version, OLDEST_CLI))
      return { kind: 'cli', path: candidate, from: 'PATH', version };
    onNote(
      `skipped ${candidate}: ${version === null ? 'it does not run' : `${version} is older than ${OLDEST_CLI}`}`,
    );
  }
  const pinned = await findPinnedProgram(env);
  if (pinned === null) return { kind: 'fetch', version: PINNED_CLI };
  return { kind: 'cli', path: pinned, from: 'cache', version: PINNED_CLI };
}

/**
 * Finds the server, and brings the pinned CLI when nothing else is there.
 * @param {{ root: string, progress: import('./progress.mjs').Progress, env?: Env, signal?: AbortSignal }} options
 * @returns {Promise<Extract<FoundServer, { kind: 'address' | 'cli' }>>}
 */
export async function ensureServer({ root, progress, env = process.env, signal }) {
  const found = await findServer({ root, env, onNote: (text) => progress.line('server', text) });
  if (found.kind === 'address') {
    progress.line('server', `using ${found.address ?? 'the configured profile'} (${found.from})`);
    return found;
  }
  if (found.kind === 'cli') {
    progress.line('server', `Temporal CLI ${found.version} at ${found.path}`);
    return found;
  }
  const place = { root, progress, env, signal };
  const program = found.kind === 'build' ? await ensureBuiltProgram(place) : await ensurePinnedProgram(place);
  return { kind: 'cli', path: program, from: 'cache', version: found.version };
}

/** @param {Env} env */
function wantsSource({ ESCADA_TEMPORAL_FROM_SOURCE: wanted = '' }) {
  return !['', '0', 'false', 'no'].includes(wanted);
}

/**
 * A path somebody set on purpose is used or refused, never skipped.
 * @param {string} program
 * @param {Env} env
 * @returns {Promise<FoundServer>}
 */
async function cliFromSetting(program, env) {
  const version = (await isExecutable(program)) ? await cliVersion(program, env) : null;
  if (version !== null && isAtLeast(version, OLDEST_CLI)) {
    return { kind: 'cli', path: path.resolve(program), from: 'TEMPORAL_CLI_PATH', version };
  }
  throw new BootstrapError({
    code: 'SETUP_TEMPORAL_CLI_UNUSABLE',
    exitCode: 2,
    message:
      version === null
        ? `TEMPORAL_CLI_PATH is ${program}, which is not a Temporal CLI that runs here.`
        : `TEMPORAL_CLI_PATH is ${program}, version ${version}; Escada needs ${OLDEST_CLI} or newer.`,
    advice: ['Set it to a newer `temporal` program, or unset it to have the pinned one fetched.'],
  });
}

/**
 * @param {string} program
 * @param {Env} env
 * @returns {Promise<string | null>} null when it does not run or is no Temporal CLI.
 */
async function cliVersion(program, env) {
  const result = await run(program, ['--version'], { env }).catch(() => null);
  if (result === null || result.code !== 0 || !/^temporal version /m.test(result.output)) return null;
  return versionIn(result.output);
}

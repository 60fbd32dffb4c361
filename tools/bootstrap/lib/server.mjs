// Where the Temporal server comes from. Order: an address or profile of the environment, TEMPORAL_CLI_PATH,
// `temporal` on PATH, the pinned CLI built from source into the user cache.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { cacheFolder, cached, keyOf } from './cache.mjs';
import { BootstrapError } from './errors.mjs';
import { findAllOnPath, isExecutable, run, runOrFail } from './exec.mjs';
import { asStep } from './progress.mjs';
import { isAtLeast, versionIn } from './versions.mjs';

const MODULE_FOLDER = 'tools/temporal-server';
const CLI_PACKAGE = 'github.com/temporalio/cli';
/** The first CLI whose server knows Update-with-Start and user metadata, which Escada's runs use. */
export const OLDEST_CLI = '1.3.0';
/** Other pinned versions to keep beside the current one; each is about 140 MB. */
const KEPT_BUILDS = 1;

/** @typedef {import('./exec.mjs').Env} Env */

/**
 * @typedef {{ kind: 'address', address: string | null, from: string }
 *   | { kind: 'cli', path: string, from: 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache', version: string }
 *   | { kind: 'build', version: string }} FoundServer
 *   `address`: a server runs already (null: the environment profile knows where); `cli`: this program can start
 *   one; `build`: the pinned CLI has to be built first.
 */

/**
 * Finds the server without building or starting anything.
 * @param {{ root: string, env?: Env, onNote?: (text: string) => void }} options `root` is the repository root;
 *   `onNote` hears why a candidate was passed over.
 * @returns {Promise<FoundServer>}
 */
export async function findServer({ root, env = process.env, onNote = () => undefined }) {
  const running = await addressFromEnvironment(env);
  if (running !== null) return running;
  if (env.TEMPORAL_CLI_PATH) return cliFromSetting(env.TEMPORAL_CLI_PATH, env);
  for (const candidate of await findAllOnPath('temporal', env)) {
    const version = await cliVersion(candidate, env);
    if (version !== null && isAtLeast(version, OLDEST_CLI))
      return { kind: 'cli', path: candidate, from: 'PATH', version };
    onNote(
      `passed over ${candidate}: ${version === null ? 'it does not run' : `${version} is older than ${OLDEST_CLI}`}`,
    );
  }
  const { key, version } = await pinnedCli(root);
  const built = path.join(cacheFolder(env), 'temporal', key, 'temporal');
  if (await isExecutable(built)) return { kind: 'cli', path: built, from: 'cache', version };
  return { kind: 'build', version };
}

/**
 * Finds the server and builds the pinned CLI when nothing else is there.
 * @param {{ root: string, progress: import('./progress.mjs').Progress, env?: Env, signal?: AbortSignal }} options
 * @returns {Promise<Exclude<FoundServer, { kind: 'build' }>>}
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
  const built = await buildPinnedCli({ root, progress, env, signal });
  return { kind: 'cli', path: built, from: 'cache', version: found.version };
}

/**
 * The pinned CLI: its version and the key of its cache folder.
 * @param {string} root
 */
export async function pinnedCli(root) {
  const folder = path.join(root, MODULE_FOLDER);
  const [mod, sum] = await Promise.all([
    readFile(path.join(folder, 'go.mod'), 'utf8'),
    readFile(path.join(folder, 'go.sum'), 'utf8'),
  ]);
  const version = /github\.com\/temporalio\/cli v(\d+\.\d+\.\d+)/.exec(mod)?.[1];
  if (version === undefined) throw new Error(`${MODULE_FOLDER}/go.mod does not require ${CLI_PACKAGE}`);
  return { version, key: keyOf([mod, sum, process.platform, process.arch]) };
}

/**
 * @param {{ root: string, progress: import('./progress.mjs').Progress, env: Env, signal?: AbortSignal }} options
 * @returns {Promise<string>} Path of the program.
 */
async function buildPinnedCli({ root, progress, env, signal }) {
  const { key, version } = await pinnedCli(root);
  const doing =
    `building the Temporal server and its Web UI from source (once; 5 to 10 minutes of two cores). ` +
    `With a \`temporal\` CLI on PATH this is not needed`;
  const folder = await cached({
    kind: 'temporal',
    key,
    keep: KEPT_BUILDS,
    env,
    signal,
    onWait: (holder) => progress.line('server', `waiting for ${holder}, which is building it`),
    build: (room) =>
      asStep(
        progress,
        'server',
        doing,
        () => compile({ root, room, version, env, signal }),
        (reported) => `built ${reported}`,
      ),
  });
  return path.join(folder, 'temporal');
}

/**
 * Go's caches for this build take 3.5 GB and are of no use afterwards: they live in the building folder and go
 * before it is published.
 * @param {{ root: string, room: string, version: string, env: Env, signal?: AbortSignal }} options
 * @returns {Promise<string>} What the program says about its version.
 */
async function compile({ root, room, version, env, signal }) {
  const caches = path.join(room, '.go');
  await mkdir(path.join(caches, 'tmp'), { recursive: true });
  const goEnv = {
    ...env,
    GOCACHE: path.join(caches, 'build'),
    GOMODCACHE: path.join(caches, 'mod'),
    GOTMPDIR: path.join(caches, 'tmp'),
    GOWORK: 'off',
    // The module cache is read-only by default, which would stand in the way of removing it.
    GOFLAGS: `${env.GOFLAGS ?? ''} -modcacherw`.trim(),
  };
  const program = path.join(room, 'temporal');
  const flags = `-s -w -X ${CLI_PACKAGE}/internal/temporalcli.Version=${version}`;
  const args = [
    'build',
    '-trimpath',
    '-buildvcs=false',
    '-ldflags',
    flags,
    '-o',
    program,
    `${CLI_PACKAGE}/cmd/temporal`,
  ];
  await runOrFail('go build', 'go', args, { cwd: path.join(root, MODULE_FOLDER), env: goEnv, signal });
  await rm(caches, { recursive: true, force: true });
  const reported = (await runOrFail('temporal --version', program, ['--version'], { env, signal })).trim();
  await writeFile(path.join(room, 'version.txt'), `${reported}\n`);
  return reported;
}

/**
 * @param {Env} env
 * @returns {Promise<Extract<FoundServer, { kind: 'address' }> | null>}
 */
async function addressFromEnvironment(env) {
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

/**
 * A path somebody set on purpose is used or refused, never passed over.
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
    advice: ['Set it to a newer `temporal` program, or unset it to have the pinned one built.'],
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

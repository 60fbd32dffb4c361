import { existsSync } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { cacheFolder } from '../../../runtime/bootstrap/cache-folder.mjs';
import { EscadaFailure } from '../contracts/failure.ts';
import { pullModel } from '../../../schemas/errors/hints.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Folder of fetched models, in the user cache. */
export function modelsFolder(env: Environment = process.env): string {
  return join(cacheFolder(env), 'models');
}

/**
 * Folders that a spec's absolute model path may lie in: those of `ESCADA_MODEL_ROOTS`, the fetched models, and the folder
 * of `ESCADA_MODEL_PATH`. A spec may come from somebody who is to use the models of this machine, not to probe its disk.
 */
export function modelRoots(env: Environment = process.env): string[] {
  const { ESCADA_MODEL_ROOTS: listed = '', ESCADA_MODEL_PATH: own = '' } = env;
  const given = listed.split(delimiter).filter((root) => root !== '');
  return [...given, modelsFolder(env), ...(own === '' ? [] : [dirname(resolve(own))])].map((root) =>
    resolve(root),
  );
}

/** The value of `ESCADA_MODEL_ROOTS` that opens the place of this model too: for commands whose user wrote its path. */
export function modelRootsWith(path: string, env: Environment = process.env): string {
  const { ESCADA_MODEL_ROOTS: listed = '' } = env;
  return [...(listed === '' ? [] : [listed]), resolve(path)].join(delimiter);
}

/**
 * The file or folder of a model. An absolute path must lie in one of the {@link modelRoots}; for an id,
 * `ESCADA_MODEL_PATH` wins over the fetched models. Throws `PATH_OUTSIDE_MODEL_ROOTS`, or `MODEL_NOT_FOUND` with what was
 * tried.
 */
export async function findModelPath(id: string, env: Environment = process.env): Promise<string> {
  if (isAbsolute(id)) return await insideRoots(resolve(id), modelRoots(env));
  const own = env['ESCADA_MODEL_PATH'] ?? '';
  if (own !== '') {
    if (existsSync(own)) return await weightsAt(resolve(own));
    throw notFound(id, [own]);
  }
  // Ids are names, not paths: nothing outside the folder of models is reachable through one.
  const isName = /^[\w-][\w.-]*$/.test(id);
  const folder = isName ? join(modelsFolder(env), id) : modelsFolder(env);
  if (!isName || !existsSync(folder)) throw notFound(id, [folder]);
  const names = await readdir(folder);
  const weights = names.filter((name) => name.endsWith('.gguf')).sort();
  if (weights[0] !== undefined) return join(folder, weights[0]);
  if (names.includes('config.json')) return folder;
  throw notFound(id, [join(folder, '*.gguf'), join(folder, 'config.json')]);
}

/** As text first, so that the answer for a path elsewhere does not depend on what exists there; then with links followed. */
async function insideRoots(path: string, roots: readonly string[]): Promise<string> {
  const real = await Promise.all(roots.map((root) => realpath(root).catch(() => root)));
  if (![...roots, ...real].some((root) => isWithin(root, path))) throw outside(path, roots);
  const found = await realpath(path).catch(() => null);
  if (found === null) throw notFound(path, [path]);
  if (!real.some((root) => isWithin(root, found))) throw outside(path, roots, found);
  return await weightsAt(path);
}

/** A folder without safetensors and with one GGUF file means that file; other places are as they are. */
async function weightsAt(path: string): Promise<string> {
  const names = await readdir(path).catch(() => []);
  const found = names.filter((name) => name.endsWith('.gguf'));
  const [only] = found;
  const isOther = found.length !== 1 || names.some((name) => /\.safetensors(\.index\.json)?$/.test(name));
  return only === undefined || isOther ? path : join(path, only);
}

function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function outside(path: string, roots: readonly string[], target?: string): EscadaFailure {
  const how = target === undefined ? 'is' : `is a link to ${target}, which is`;
  return new EscadaFailure({
    code: 'PATH_OUTSIDE_MODEL_ROOTS',
    message: `Model ${path} ${how} outside the folders that the worker takes models from (${roots.join(', ')}). Add its folder to ESCADA_MODEL_ROOTS of the worker, or move the model there.`,
    fields: { model: path },
  });
}

function notFound(id: string, tried: readonly string[]): EscadaFailure {
  const hint = /^[\w.-]+\/[\w.-]+/.test(id) ? ' and use the id that it prints' : '';
  const way = isAbsolute(id)
    ? 'Correct the path in the spec, or fetch the model with `escada model pull`.'
    : pullModel(id, hint);
  return new EscadaFailure({
    code: 'MODEL_NOT_FOUND',
    message: `Model ${id} is not on this machine; looked at ${tried.join(', ')}. ${way}`,
    fields: { model: id, tried },
  });
}

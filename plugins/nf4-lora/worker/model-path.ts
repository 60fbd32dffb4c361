import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { EscadaFailure } from '../../api/failure.ts';

/** Folder of fetched models: `ESCADA_CACHE_DIR`, else the user's cache folder. */
export function modelsFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { ESCADA_CACHE_DIR: own = '', XDG_CACHE_HOME: shared = '' } = env;
  if (own !== '') return resolve(own, 'models');
  return join(shared === '' ? join(homedir(), '.cache') : shared, 'escada', 'models');
}

/**
 * The file or folder of a model: an absolute path is taken as it is; for an id, `ESCADA_MODEL_PATH` wins over the
 * fetched models. Throws `MODEL_NOT_FOUND` with what was tried.
 */
export async function findModelPath(id: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const given = isAbsolute(id) ? id : (env['ESCADA_MODEL_PATH'] ?? '');
  if (given !== '') {
    if (existsSync(given)) return resolve(given);
    throw notFound(id, [given]);
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

function notFound(id: string, tried: readonly string[]): EscadaFailure {
  const hint = /^[\w.-]+\/[\w.-]+/.test(id) ? ' and use the id that it prints' : '';
  return new EscadaFailure({
    code: 'MODEL_NOT_FOUND',
    message: `Model ${id} is not on this machine; looked at ${tried.join(', ')}. Run \`escada model pull ${id}\`${hint}, or set ESCADA_MODEL_PATH to a file.`,
    fields: { model: id, tried },
  });
}

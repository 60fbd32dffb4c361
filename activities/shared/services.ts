import { access, realpath } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import type { StepServices } from '../../plugins/api/step-kind.ts';
import { EscadaFailure } from '../../plugins/api/failure.ts';
import type { Registry } from '../../plugins/host/registry.ts';
import type { FileStore } from '../artifacts/file-store.ts';

/** What steps may ask for, from the registry, the store and the folders that users' files may lie in. */
export function createServices(deps: {
  readonly registry: Registry;
  readonly store: FileStore;
  readonly dataRoots: readonly string[];
}): StepServices {
  const { registry } = deps;
  return {
    store: deps.store,
    languageModel: (provider, choice) => registry.providers.get(provider).open(choice),
    trainer: (id) => registry.trainers.get(id),
    metric: (choice) => registry.metric(choice),
    retriever: (id) => registry.retrievers.get(id),
    resolveDataPath: (path) => resolveDataPath(path, deps.dataRoots),
  };
}

/** Links are followed before the check, so that none leads out of the roots. */
export async function resolveDataPath(path: string, roots: readonly string[]): Promise<string> {
  const candidates = isAbsolute(path) ? [path] : roots.map((root) => resolve(root, path));
  for (const candidate of candidates) {
    const found = await realpath(candidate).catch(() => null);
    if (found === null) continue;
    const inside = await isInside(found, roots);
    if (!inside) {
      throw new EscadaFailure({
        code: 'PATH_OUTSIDE_DATA_ROOTS',
        message: `"${path}" lies outside the data roots (${roots.join(', ')}). Move it there, or set ESCADA_DATA_ROOTS.`,
        fields: { path },
      });
    }
    await access(found);
    return found;
  }
  throw new EscadaFailure({
    code: 'FILE_NOT_FOUND',
    message: `There is no file "${path}". Looked in: ${candidates.join(', ')}.`,
    fields: { path },
  });
}

async function isInside(path: string, roots: readonly string[]): Promise<boolean> {
  for (const root of roots) {
    const real = await realpath(root).catch(() => null);
    if (real !== null && (path === real || path.startsWith(real.endsWith(sep) ? real : real + sep)))
      return true;
  }
  return false;
}

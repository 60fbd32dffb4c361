import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readManifest } from './manifest.ts';

/**
 * What an adapter calls its base, so that other programs find it: the repository of a model that was pulled from a hub,
 * the path of any other folder, the id of any other file.
 */
export async function baseModelName({
  id,
  path,
}: {
  readonly id: string;
  readonly path: string;
}): Promise<string> {
  const isFolder = (await stat(path).catch(() => null))?.isDirectory() === true;
  const manifest = await readManifest(isFolder ? path : dirname(path));
  return manifest?.repository ?? (isFolder ? path : id);
}

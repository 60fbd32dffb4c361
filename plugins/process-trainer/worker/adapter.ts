import { lstat, readFile, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { sha256OfFile } from '../../sdk/publish.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { ResultOf } from './protocol.ts';

/** Larger than any adapter's configuration. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Makes sure that the adapter is there, is what the trainer says, and is in its folder. Throws `TRAINER_PROTOCOL`. */
export async function requireAdapter(
  trainer: string,
  outDir: string,
  { adapterPath, adapterSha256 }: ResultOf<'train'>,
): Promise<void> {
  const problem = await problemWith(outDir, adapterPath, adapterSha256);
  if (problem === null) return;
  const message = `trainer "${trainer}" left no usable adapter at ${adapterPath}: ${problem}`;
  throw new EscadaFailure({ code: 'TRAINER_PROTOCOL', message, fields: { trainer, adapterPath } });
}

async function problemWith(outDir: string, folder: string, sha256: string): Promise<string | null> {
  const real = await realpath(folder).catch(() => null);
  if (real === null) return 'the folder does not exist';
  const inside = relative(await realpath(outDir), real);
  if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) return `it is not inside ${outDir}`;
  for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
    const found = await lstat(join(real, name)).catch(() => null);
    if (found?.isFile() !== true) return `${name} is missing`;
    if (name.endsWith('.json') && found.size > MAX_CONFIG_BYTES) return `${name} has ${found.size} bytes`;
  }
  try {
    JSON.parse(await readFile(join(real, 'adapter_config.json'), 'utf8'));
  } catch {
    return 'adapter_config.json is not JSON';
  }
  const found = await sha256OfFile(join(real, 'adapter_model.safetensors'));
  return found === sha256 ? null : `adapter_model.safetensors has the SHA-256 ${found}, not ${sha256}`;
}

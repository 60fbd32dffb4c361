import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { USUAL, type Quantization, type WeightFormat } from '../model-options.ts';
import { pullModel } from '../../../schemas/errors/hints.ts';

/** A model on this machine and how its weights are to be held. */
export interface ModelSource {
  /** A `.gguf` file, or a folder with `config.json`, `tokenizer.json` and `*.safetensors`. */
  readonly path: string;
  readonly weightFormat: WeightFormat;
  /** NF4 only: {@link USUAL} when absent. */
  readonly quantization?: Quantization | undefined;
}

/** Format of the weights in a word: `nf4` for the usual one, `nf4-128-double`, `nf4-64`, `f32`. */
export function formatLabel({ weightFormat, quantization = USUAL }: Omit<ModelSource, 'path'>): string {
  const { blockSize, doubleQuant } = quantization;
  if (weightFormat === 'f32' || (blockSize === USUAL.blockSize && doubleQuant)) return weightFormat;
  return `nf4-${blockSize}${doubleQuant ? '-double' : ''}`;
}

/**
 * A key that two sources share exactly when one loaded model serves both. Sizes and times of the files are in it, so
 * that a replaced file is loaded again. Throws `MODEL_NOT_FOUND`.
 */
export async function modelKey(source: ModelSource): Promise<string> {
  try {
    const path = await realpath(source.path);
    return [path, formatLabel(source), ...(await fingerprint(path))].join('|');
  } catch (cause) {
    throw new EscadaFailure({
      code: 'MODEL_NOT_FOUND',
      message: `No model at ${source.path}. ${pullModel()}`,
      fields: { path: source.path },
      cause,
    });
  }
}

/** Files of a model's folder that change what it computes or what its prompts are. */
const PARTS = /\.(json|safetensors|gguf|jinja)$/;
/** Folder of further chat templates. */
const TEMPLATES = 'additional_chat_templates';

async function fingerprint(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [await stamp(path)];
  const templates = await readdir(join(path, TEMPLATES)).catch(() => []);
  const names = [...(await readdir(path)), ...templates.map((name) => join(TEMPLATES, name))];
  const parts = names.filter((name) => PARTS.test(name)).sort();
  return Promise.all(parts.map(async (name) => `${name}:${await stamp(join(path, name))}`));
}

/** Size, times and place of a file: a copy that keeps the old one's time of change is another file all the same. */
async function stamp(path: string): Promise<string> {
  // A link that leads nowhere counts as one; the engine says what is wrong with it.
  const file = await stat(path).catch(() => lstat(path));
  return [file.size, file.mtimeMs, file.ctimeMs, file.ino].join(':');
}

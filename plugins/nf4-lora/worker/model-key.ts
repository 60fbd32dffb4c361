import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EscadaFailure } from '../../api/failure.ts';
import type { WeightFormat } from './protocol.ts';

/** A model on this machine and how its weights are to be held. */
export interface ModelSource {
  /** A `.gguf` file, or a folder with `config.json`, `tokenizer.json` and `*.safetensors`. */
  readonly path: string;
  readonly weightFormat: WeightFormat;
}

/**
 * A key that two sources share exactly when one loaded model serves both. Sizes and times of the files are in it, so
 * that a replaced file is loaded anew. Throws `MODEL_NOT_FOUND`.
 */
export async function modelKey(source: ModelSource): Promise<string> {
  try {
    const path = await realpath(source.path);
    return [path, source.weightFormat, ...(await fingerprint(path))].join('|');
  } catch (cause) {
    throw new EscadaFailure({
      code: 'MODEL_NOT_FOUND',
      message: `No model at ${source.path}. Run \`escada model pull\`, or set ESCADA_MODEL_PATH to a file.`,
      fields: { path: source.path },
      cause,
    });
  }
}

async function fingerprint(path: string): Promise<string[]> {
  const whole = await stat(path);
  if (!whole.isDirectory()) return [`${whole.size}:${whole.mtimeMs}`];
  const names = (await readdir(path)).filter((name) => /\.(json|safetensors|gguf)$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = await stat(join(path, name));
      return `${name}:${file.size}:${file.mtimeMs}`;
    }),
  );
}

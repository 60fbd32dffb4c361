import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { decodeText } from '../plugins/sdk/decode-text.ts';
import { formatIssues } from '../plugins/sdk/issues.ts';

const configSchema = z.strictObject({ plugins: z.record(z.string(), z.unknown()) });

/** Stands for the folder of the file in its strings, so that it can name what lies beside it. */
const HERE = '${here}';

/**
 * Options of plugins by their names, from the file that `ESCADA_CONFIG` names; none without it. Client and worker read
 * the same one. Only a file that is named is read: it may name commands to run.
 * Throws `FILE_NOT_FOUND`, and `PLUGIN_OPTIONS_INVALID` with what is wrong.
 */
export function readPluginConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<Record<string, unknown>> {
  const { ESCADA_CONFIG: given = '' } = env;
  if (given === '') return {};
  const path = resolve(given);
  const config = configSchema.safeParse(parse(path, readText(path)));
  if (!config.success) throw invalid(path, formatIssues(config.error, 'the file'));
  return config.data.plugins;
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const message = `ESCADA_CONFIG names ${path}, which cannot be read.`;
    throw new EscadaFailure({ code: 'FILE_NOT_FOUND', message, fields: { path }, cause });
  }
  const text = decodeText(bytes);
  if (text === null) throw invalid(path, 'it is not text in UTF-8');
  return text;
}

function parse(path: string, text: string): unknown {
  const here = dirname(path);
  try {
    return JSON.parse(text, (_key, value: unknown) =>
      typeof value === 'string' ? value.replaceAll(HERE, () => here) : value,
    );
  } catch (cause) {
    throw invalid(path, `it is not JSON (${(cause as Error).message})`);
  }
}

function invalid(path: string, problem: string): EscadaFailure {
  const message = `${path} (ESCADA_CONFIG): ${problem}. It looks like { "plugins": { "<name>": { … } } }.`;
  return new EscadaFailure({ code: 'PLUGIN_OPTIONS_INVALID', message, fields: { path } });
}

import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { decodeText } from '../plugins/sdk/decode-text.ts';
import { formatIssues } from '../plugins/sdk/issues.ts';
import {
  PROJECT_CONFIG_FILE,
  projectConfigSchema,
  type ProjectConfig,
} from '../schemas/spec/project-config.ts';
import { setting } from './settings.ts';
import { checkValue } from '../plugins/sdk/schema-check/check-value.ts';

/** Placeholder of the file's folder in its strings, so that options can name files beside it. */
const HERE = '${here}';

/** Where the configuration file is looked for. */
export interface ProjectPlace {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The project's folder; default: the working directory. */
  readonly folder?: string;
}

/** A configuration file as it was read. */
export interface FoundConfig extends ProjectConfig {
  /** Absolute path; null where the project has none. */
  readonly file: string | null;
  /** Folder from which its packages and paths are resolved. */
  readonly folder: string;
}

/**
 * The project's configuration: the file that `ESCADA_CONFIG` names, and only that one when the variable is set; else
 * `escada.config.json` in the working directory; else an empty one. No other folder is searched, because the file names
 * code and commands to run. Throws `FILE_NOT_FOUND` and `CONFIG_INVALID` with the path and what is wrong.
 */
export function readProjectConfig({ env = process.env, folder = '.' }: ProjectPlace = {}): FoundConfig {
  const given = setting(env, 'ESCADA_CONFIG');
  const file = resolve(folder, given ?? PROJECT_CONFIG_FILE);
  if (given === undefined && !existsSync(file))
    return { ...projectConfigSchema.parse({}), file: null, folder: dirname(file) };
  const config = checkValue(projectConfigSchema, parse(file, readText(file, given !== undefined)));
  if (!config.success) throw invalid(file, formatIssues(config.issues, 'the file'));
  return { ...config.data, file, folder: dirname(file) };
}

function readText(path: string, isNamed: boolean): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const message = `${isNamed ? 'ESCADA_CONFIG names' : 'The configuration file is'} ${path}, which cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}).`;
    throw new EscadaFailure({ code: 'FILE_NOT_FOUND', message, fields: { path }, cause });
  }
  const text = decodeText(bytes);
  if (text === null) throw invalid(path, 'it is not text in UTF-8.');
  return text;
}

function parse(path: string, text: string): unknown {
  const here = dirname(path);
  try {
    return JSON.parse(text, (_key, value: unknown) =>
      typeof value === 'string' ? value.replaceAll(HERE, () => here) : value,
    );
  } catch (cause) {
    throw invalid(path, `it is not JSON (${(cause as Error).message}).`);
  }
}

function invalid(path: string, problem: string): EscadaFailure {
  const message = `${path}: ${problem} It looks like { "plugins": [{ "package": "<name>", "options": { … } }], "options": { "<built-in plugin>": { … } }, "defaults": { "provider": "<id>" } }.`;
  return new EscadaFailure({ code: 'CONFIG_INVALID', message, fields: { path } });
}

import { existsSync } from 'node:fs';
import { readFile, readlink, stat } from 'node:fs/promises';
import { dirname, extname, isAbsolute, resolve } from 'node:path';
import { decodeText } from '../../plugins/sdk/decode-text.ts';
import type { ArtifactObjectsV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { fileFailure } from '../../plugins/sdk/file-failures.ts';
import { EscadaFailure, isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { AdaptationSpecInput, DataSource } from '../../schemas/spec/adaptation-spec.ts';

const FORMATS: Readonly<Record<string, 'csv' | 'tsv' | 'jsonl' | 'parquet'>> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.parquet': 'parquet',
};

/** Reads a spec file, UTF-8 or UTF-16. Throws `FILE_NOT_FOUND`, or `INVALID_SPEC` when it is no JSON object. */
export async function readSpecFile(path: string): Promise<AdaptationSpecInput> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw unreadableSpec(path, cause);
  });
  const text = decodeText(bytes);
  if (text === null) {
    const message = `${path} is not text in UTF-8. Save it as UTF-8.`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message });
  }
  if (text.trim() === '') {
    throw new EscadaFailure({
      code: 'INVALID_SPEC',
      message: `${path} is empty: give one JSON object with at least "name", "task", "data", "target" and "budget".`,
    });
  }
  const read = parse(path, text);
  if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read as AdaptationSpecInput;
  const what = Array.isArray(read) ? 'a list' : JSON.stringify(read).slice(0, 40);
  throw new EscadaFailure({
    code: 'INVALID_SPEC',
    message: `${path} is ${what}; a spec is one JSON object.`,
  });
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EscadaFailure({ code: 'INVALID_SPEC', message: `${path} is not JSON: ${why}`, cause });
  }
}

function unreadableSpec(path: string, cause: unknown): EscadaFailure {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new EscadaFailure({ code: 'FILE_NOT_FOUND', message: `There is no spec file "${path}".`, cause });
  const why =
    code === 'EISDIR' ? 'it is a folder; name the JSON file in it' : String((cause as Error).message);
  return new EscadaFailure({
    code: 'FILE_NOT_FOUND',
    message: `The spec "${path}" cannot be read: ${why}.`,
    cause,
  });
}

/** How a data file is named and read. */
interface ImportOptions {
  /** As its owner wrote it; default: the path. Messages of the run name it. */
  readonly name?: string;
  readonly format?: DataSource['format'] | undefined;
}

/**
 * Puts a local data file into the artifact store, so that the run does not depend on where the file is. Throws
 * `FILE_NOT_FOUND`, `DATA_UNREADABLE` (unknown format), or what a full or closed store throws.
 */
export async function importDataFile(
  path: string,
  store: ArtifactObjectsV1,
  { name = path, format }: ImportOptions = {},
): Promise<DataSource> {
  await requireFile(path, name);
  const known = format ?? FORMATS[extname(path).toLowerCase()];
  if (known === undefined) {
    throw new EscadaFailure({
      code: 'DATA_UNREADABLE',
      message: `The format of "${name}" is unknown. Known endings: ${Object.keys(FORMATS).join(', ')}.`,
    });
  }
  const artifact = await store.putFile(path, `application/x-escada-${known}`).catch((cause: unknown) => {
    if (isEscadaFailure(cause)) throw cause;
    const why = fileFailure(cause) === null ? String((cause as Error).message) : 'permission is denied';
    throw noFile(`"${name}" cannot be read: ${why}.`, name, cause);
  });
  return { artifact, format: known, name };
}

async function requireFile(path: string, name: string): Promise<void> {
  const found = await stat(path).catch(async (cause: unknown) => {
    const target = await readlink(path).catch(() => null);
    const message =
      target === null
        ? `There is no file "${name}" (looked for ${path}).`
        : `"${name}" is a link to ${target}, where there is no file.`;
    throw noFile(message, name, cause);
  });
  if (found.isFile()) return;
  const what = found.isDirectory() ? 'is a folder' : 'is not a regular file';
  throw noFile(`"${name}" ${what}; name one file of rows (${Object.keys(FORMATS).join(', ')}).`, name);
}

function noFile(message: string, name: string, cause?: unknown): EscadaFailure {
  return new EscadaFailure({ code: 'FILE_NOT_FOUND', message, fields: { path: name }, cause });
}

/** The contents of a spec file, before anything of it was checked. */
interface WrittenSource {
  readonly path?: unknown;
  readonly format?: DataSource['format'];
}
interface WrittenData {
  readonly source?: WrittenSource;
  readonly documents?: { readonly source?: WrittenSource };
}

/**
 * The id of a model in a spec file. One that is a path, or the name of a file or folder beside the spec, becomes absolute;
 * others are names of fetched models.
 */
function modelId(id: string, specPath: string): string {
  const path = resolve(dirname(specPath), id);
  return isAbsolute(id) || /^\.{1,2}[\\/]/.test(id) || existsSync(path) ? path : id;
}

/** The model's path of a spec whose model is one on this machine. */
export function localModelPath(spec: { readonly model?: unknown }): string | undefined {
  const { id } = (spec.model ?? {}) as { readonly id?: unknown };
  return typeof id === 'string' && isAbsolute(id) ? id : undefined;
}

/** A spec file with its data imported; paths in it, the model's included, are relative to the file. */
export async function loadSpec(path: string, store: ArtifactObjectsV1): Promise<AdaptationSpecInput> {
  const read = await readSpecFile(path);
  const { model } = read as { model?: { readonly id?: unknown } };
  const spec =
    typeof model?.id === 'string' ? { ...read, model: { ...model, id: modelId(model.id, path) } } : read;
  const { data } = spec as { data?: WrittenData };
  if (typeof data !== 'object' || data === null) return spec;
  const imported = async (source: WrittenSource | undefined) =>
    typeof source?.path === 'string'
      ? {
          source: await importDataFile(resolve(dirname(path), source.path), store, {
            name: source.path,
            format: source.format,
          }),
        }
      : {};
  const documents =
    data.documents === undefined
      ? {}
      : { documents: { ...data.documents, ...(await imported(data.documents.source)) } };
  return {
    ...spec,
    data: { ...data, ...(await imported(data.source)), ...documents },
  } as AdaptationSpecInput;
}

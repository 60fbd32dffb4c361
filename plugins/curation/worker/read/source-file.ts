import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat, symlink } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { DataSource } from '../../../../schemas/spec/adaptation-spec.ts';
import type { StepContext, StepServices } from '../../../sdk/contracts/step-kind.ts';
import { sha256OfFile } from '../../../sdk/publish.ts';
import { unreadable } from './unreadable.ts';
import type { DataFile } from './unreadable.ts';

export type DataFormat = 'csv' | 'tsv' | 'jsonl' | 'parquet';

export interface SourceFile extends DataFile {
  readonly format: DataFormat;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const EXTENSIONS: Record<string, DataFormat> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.parquet': 'parquet',
};

/** Path of a source's bytes on this machine. */
export async function sourcePath(source: DataSource, services: StepServices): Promise<string> {
  if ('artifact' in source) return await services.store.localPath(source.artifact);
  return (await services.resolveDataPath(source.path)).path;
}

/** Path, name and digest of a source. Throws what resolving a path or an artifact throws. */
export async function locate(
  source: DataSource,
  services: StepServices,
  signal: AbortSignal,
): Promise<{ path: string; name: string; sha256: string }> {
  if ('artifact' in source) {
    const { uri, sha256 } = source.artifact;
    return { path: await services.store.localPath(source.artifact), name: source.name ?? uri, sha256 };
  }
  const { path, name } = await services.resolveDataPath(source.path);
  return { path, name, sha256: await sha256OfFile(path, signal) };
}

/**
 * Brings a source under a plain name into the scratch folder: names with `*`, `?` or `[` would be patterns to the
 * table engine. Throws `DATA_UNREADABLE` when the format is unknown or the encoding is not UTF-8.
 */
export async function openSource(source: DataSource, context: StepContext): Promise<SourceFile> {
  const located = await locate(source, context, context.signal);
  const format = source.format ?? EXTENSIONS[extname(located.name).toLowerCase()];
  if (format === undefined) {
    throw unreadable(
      located,
      0,
      'the name has no known extension; set "format" to csv, tsv, jsonl or parquet',
    );
  }
  const path = join(context.scratchDir, `source.${format}`);
  const mark = format === 'parquet' ? 'none' : await byteOrderMark(located.path);
  if (mark === 'utf-16') throw unreadable(located, 1, 'the text is UTF-16; save it as UTF-8');
  // The engine drops the mark but then misreads a quoted first column name.
  if (mark === 'utf-8') await pipeline(createReadStream(located.path, { start: 3 }), createWriteStream(path));
  else await symlink(resolve(located.path), path);
  const { size } = await stat(located.path);
  return { path, name: located.name, format, sizeBytes: size, sha256: located.sha256 };
}

async function byteOrderMark(path: string): Promise<'none' | 'utf-8' | 'utf-16'> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(3), 0, 3, 0);
    const start = buffer.subarray(0, bytesRead).toString('hex');
    if (start === 'efbbbf') return 'utf-8';
    return start.startsWith('fffe') || start.startsWith('feff') ? 'utf-16' : 'none';
  } finally {
    await file.close();
  }
}

/** The table engine as a step gets it: bounded in memory and disk, closed to everything but scratch and store. */
import { mkdir, realpath, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { fileFailureFromText } from '../../sdk/file-failures.ts';
import { SPILL_FOLDER } from '../../sdk/rows-folder.ts';
import { EscadaFailure, isEscadaFailure } from '../../sdk/contracts/failure.ts';
import type { CurationOptions } from '../options.ts';
import { engineText } from './read/unreadable.ts';
import { literal } from './sql.ts';

/** The least that the table engine is given to spill into; on a fuller disk it fails with `DISK_FULL` by itself. */
const MIN_SPILL_MIB = 64;

/** In MiB: what the options allow, but at most half of what is free. */
async function spillLimit(folder: string, { maxSpillMiB }: CurationOptions): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  const halfOfFreeMiB = Math.floor((bavail * bsize) / 2 / 2 ** 20);
  return Math.max(MIN_SPILL_MIB, Math.min(maxSpillMiB, halfOfFreeMiB));
}

/** A new in-memory database with bounds on memory, threads and extensions. */
export async function openInstance(scratchDir: string, options: CurationOptions): Promise<DuckDBInstance> {
  const temporary = join(scratchDir, SPILL_FOLDER);
  await mkdir(temporary, { recursive: true });
  return await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryLimitMiB}MiB`,
    threads: String(options.threads ?? Math.min(4, availableParallelism())),
    temp_directory: temporary,
    // Some steps number rows by their order in a file.
    preserve_insertion_order: 'true',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  });
}

/**
 * Restricts later statements to these folders and files. No statement can lift the restriction: some statements hold
 * texts of users. Links are resolved first, because the table engine compares the paths that they lead to.
 */
export async function lockDown(
  run: (sql: string) => Promise<void>,
  folders: readonly string[],
  files: readonly string[],
): Promise<void> {
  const real = async (path: string) => await realpath(path).catch(() => path);
  const list = async (paths: readonly string[], ending: string) =>
    `[${(await Promise.all(paths.map(real))).map((path) => literal(path + ending)).join(', ')}]`;
  await run(`SET allowed_directories = ${await list(folders, sep)}`);
  await run(`SET allowed_paths = ${await list(files, '')}`);
  await run('SET enable_external_access = false');
  await run('SET lock_configuration = true');
}

/** Bounds what the database may spill. Among the options of a new instance the bound is shown but not kept to. */
export async function limitSpill(
  run: (sql: string) => Promise<void>,
  scratchDir: string,
  options: CurationOptions,
): Promise<void> {
  await run(`SET max_temp_directory_size = '${await spillLimit(scratchDir, options)}MiB'`);
}

/** What the table engine says of a full or closed disk. Only its first line: the rest may quote a user's rows. */
export function diskFailure(error: unknown, scratchDir: string): EscadaFailure | null {
  if (isEscadaFailure(error)) return null;
  const [line = ''] = engineText(error).split('\n');
  if (!/^(IO|Out of Memory) Error: /.test(line)) return null;
  const [, used] = /failed to offload .*\/(.*) used\)/.exec(line) ?? [];
  if (used !== undefined) {
    const message = `A curation step needs more than the ${used} of disk that it may use in ${scratchDir}. Free some space there, raise "maxSpillMiB" or "memoryLimitMiB" of the plugin curation (escada.config.json), or give it fewer rows.`;
    return new EscadaFailure({ code: 'DISK_FULL', message, fields: { path: scratchDir }, cause: error });
  }
  return fileFailureFromText(line, { what: 'The scratch folder', path: scratchDir }, error);
}

/** What is written down about the server over a database, for commands that come later. */
import { readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { publishFile } from '../../plugins/sdk/publish.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { isAlive, type ProcessId } from '../process-id.ts';

const noteSchema = z.object({
  pid: z.int().positive(),
  birth: z.string(),
  port: z.int().min(1).max(65_535),
  /** Identity of the database's folder: a copy of the folder holds a copy of this note, but not the server's database. */
  folderInode: z.string(),
});

export type ServerNote = z.infer<typeof noteSchema>;

/** Files around a database. */
export interface ServerFiles {
  readonly folder: string;
  /** Name of the database in its folder. */
  readonly database: string;
  readonly note: string;
  readonly log: string;
  /** Claims of the commands that use the server. */
  readonly users: string;
  /** Claim of the command that is starting or stopping it. */
  readonly change: string;
}

/**
 * Throws `OUTPUT_NOT_WRITABLE` for a name that SQLite would read as part of a URI: the server hands over `file:` and
 * the name, so that `a#1` and `a#2` would be one file. The folder's name does not matter: the server runs in it.
 */
export function serverFiles(databasePath: string): ServerFiles {
  const [folder, database] = [dirname(resolve(databasePath)), basename(databasePath)];
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}._ -]*$/u.test(database)) {
    throw new EscadaFailure({
      code: 'OUTPUT_NOT_WRITABLE',
      message: `"${database}" cannot be the name of a database: use letters, digits, spaces and . _ - only (its folder may have any name).`,
      fields: { path: databasePath },
    });
  }
  const state = join(folder, `${database}.server`);
  return {
    folder,
    database,
    note: join(state, 'note.json'),
    log: join(state, 'server.log'),
    users: join(state, 'users'),
    change: join(state, 'change'),
  };
}

async function inodeOf(folder: string): Promise<string> {
  return String((await stat(folder, { bigint: true })).ino);
}

export async function writeNote(files: ServerFiles, server: ProcessId & { port: number }): Promise<void> {
  const note: ServerNote = { ...server, folderInode: await inodeOf(files.folder) };
  await publishFile(files.note, JSON.stringify(note));
}

export async function removeNote(files: ServerFiles): Promise<void> {
  await rm(files.note, { force: true });
}

/** The note about a server that lives and has its database in this very folder; null when there is none. */
export async function readNote(files: ServerFiles): Promise<ServerNote | null> {
  const text = await readFile(files.note, 'utf8').catch(() => '');
  const note = noteSchema.safeParse(parsed(text)).data;
  if (note === undefined || note.folderInode !== (await inodeOf(files.folder))) return null;
  return (await isAlive(note)) ? note : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Empty or torn: as good as none.
    return null;
  }
}

/**
 * `node server-guard.ts DATABASE`: stops a server when the last command that used it was killed and could not do so.
 * Ends with the server.
 */
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { alone, claimants } from '../claims.ts';
import { readNote, removeNote, serverFiles, type ServerFiles } from './server-note.ts';
import { stopById } from './stop-process.ts';

const LOOK_EVERY_MS = 2000;

/** Whether the server is gone, or was stopped just now. */
async function look(files: ServerFiles, birth: string): Promise<boolean> {
  if ((await readNote(files))?.birth !== birth) return true;
  if ((await claimants(files.users)).length > 0) return false;
  return await alone(files.change, async () => {
    const note = await readNote(files);
    if (note?.birth !== birth) return true;
    // Somebody may have come while this one waited.
    if ((await claimants(files.users)).length > 0) return false;
    await stopById(note);
    await removeNote(files);
    return true;
  });
}

async function guard(databasePath: string): Promise<void> {
  const files = serverFiles(databasePath);
  const birth = (await readNote(files))?.birth;
  if (birth === undefined) return;
  // A folder that cannot be read for a moment says nothing about the server.
  while (!(await look(files, birth).catch(() => false))) await sleep(LOOK_EVERY_MS);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await guard(process.argv[2] ?? '');

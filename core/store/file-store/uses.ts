/** What a run took and gave, noted beside its scratch folders: for as long as a run is kept, so is all of it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { canonicalJson } from '../../../plugins/sdk/canonical-json.ts';
import type { RunUse } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { publishFile, sha256OfBytes } from '../../../plugins/sdk/publish.ts';

const noteSchema = z.strictObject({ action: z.string().nullable(), references: z.array(artifactRefSchema) });

/** A note as it is stored. */
export type UseNote = z.infer<typeof noteSchema>;

/** Notes one use in a run's folder. */
export async function writeUse(runFolder: string, use: RunUse): Promise<void> {
  const name = sha256OfBytes(JSON.stringify(use.activity));
  const note: UseNote = { action: use.action ?? null, references: [...use.references] };
  await publishFile(join(runFolder, 'references', `${name}.json`), canonicalJson(note));
}

/** All notes of a run. One that is torn counts for nothing. */
export async function readUses(runFolder: string): Promise<UseNote[]> {
  const folder = join(runFolder, 'references');
  const notes: UseNote[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const note = noteSchema.safeParse(await readJsonFile(join(folder, name)));
    if (note.success) notes.push(note.data);
  }
  return notes;
}

/** A file's JSON; undefined when it cannot be read. */
export async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

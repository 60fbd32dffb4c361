/** What a run refers to, noted beside its scratch folders: for as long as a run is kept, so is all of it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { artifactRefSchema, type ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import { canonicalJson } from '../../plugins/sdk/canonical-json.ts';
import { publishFile, sha256OfBytes } from '../../plugins/sdk/publish.ts';

/** Every artifact reference inside a value. */
export function referencesIn(value: unknown): ArtifactRef[] {
  const parsed = artifactRefSchema.safeParse(value);
  if (parsed.success) return [parsed.data];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(referencesIn);
}

const noteSchema = z.strictObject({ action: z.string().nullable(), references: z.array(artifactRefSchema) });
export type RunNote = z.infer<typeof noteSchema>;

/** Notes what one Activity took and gave. `activity`: its ids, so that each has a note of its own. */
export async function noteReferences(
  runFolder: string,
  activity: readonly string[],
  note: { readonly action?: string; readonly values: unknown },
): Promise<void> {
  const unique = new Map(referencesIn(note.values).map((ref) => [ref.sha256 + ref.mediaType, ref]));
  const references = [...unique.values()];
  if (references.length === 0 && note.action === undefined) return;
  const name = sha256OfBytes(JSON.stringify(activity));
  await publishFile(
    join(runFolder, 'references', `${name}.json`),
    canonicalJson({ action: note.action ?? null, references }),
  );
}

/** All notes of a run. One that is torn counts for nothing. */
export async function readNotes(runFolder: string): Promise<RunNote[]> {
  const folder = join(runFolder, 'references');
  const notes: RunNote[] = [];
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

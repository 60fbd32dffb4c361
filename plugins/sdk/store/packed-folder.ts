/** Folders as artifacts: a list of the files in it, each an artifact of its own. */
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { artifactRefSchema, type ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { canonicalJson } from '../canonical-json.ts';

/** Media type of the list. */
export const FOLDER_TYPE = 'application/vnd.escada.folder+json';

const foldersSchema = z.strictObject({
  entries: z.array(z.strictObject({ path: z.string(), ref: artifactRefSchema })),
});

/** One file of a packed folder: where it is in the folder, and its bytes. */
export type FolderEntry = z.infer<typeof foldersSchema>['entries'][number];

/** What file systems take, in bytes. */
const [MAX_PATH_BYTES, MAX_NAME_BYTES] = [1024, 255];

/**
 * Checks the list of a packed folder: plain relative paths, each once, none inside another. Returns what is wrong as a
 * sentence, for the caller to say of which artifact.
 */
export function readEntries(list: unknown): readonly FolderEntry[] | string {
  const parsed = foldersSchema.safeParse(list);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `it is not the list of a packed folder (${issue?.path.join('.')}: ${issue?.message})`.slice(
      0,
      300,
    );
  }
  const { entries } = parsed.data;
  const paths = new Set(entries.map(({ path }) => path));
  if (paths.size < entries.length) return 'it names a path more than once';
  for (const path of paths) {
    if (!isPlain(path)) return `it names the path ${JSON.stringify(path.slice(0, 200))}`;
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      if (paths.has(path.slice(0, at)))
        return `${JSON.stringify(path.slice(0, at))} is both a file and a folder`;
    }
  }
  return entries;
}

/** Relative, with names that every file system takes, and none that leads up or nowhere. */
function isPlain(path: string): boolean {
  const names = path.split('/');
  const bad = (name: string): boolean =>
    ['', '.', '..'].includes(name) ||
    Buffer.byteLength(name) > MAX_NAME_BYTES ||
    /[\0\\\p{Surrogate}]/u.test(name);
  return Buffer.byteLength(path) <= MAX_PATH_BYTES && !names.some(bad);
}

/** Relative paths of the files of a folder, with slashes, sorted. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** Stores every file of a folder, then the list of them. */
export async function packFolder(
  store: {
    putFile(path: string, mediaType: string): Promise<ArtifactRef>;
    putBytes(bytes: Uint8Array, mediaType: string): Promise<ArtifactRef>;
  },
  folder: string,
): Promise<ArtifactRef> {
  const entries: FolderEntry[] = [];
  for (const path of await filesIn(folder)) {
    entries.push({ path, ref: await store.putFile(join(folder, path), 'application/octet-stream') });
  }
  return await store.putBytes(Buffer.from(canonicalJson({ entries })), FOLDER_TYPE);
}

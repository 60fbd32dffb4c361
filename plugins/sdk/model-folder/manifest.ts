import { open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256OfFile } from '../publish.ts';

/** A commit of a repository, written out. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** Names that may become names on this machine's disk, whatever a server says. */
export const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** The record of a pull; a file of this name in a repository is left there. */
export const MANIFEST = 'manifest.json';

const manifestSchema = z.strictObject({
  manifestVersion: z.literal(1),
  /** The hub that was asked. */
  endpoint: z.string(),
  repository: z.string(),
  /** What was asked for; `revision` is the commit that it stood for. */
  requestedRevision: z.string(),
  revision: z.string().regex(COMMIT),
  files: z.array(
    z.strictObject({
      name: z.string().regex(SAFE_NAME),
      /** Path in the repository. */
      path: z.string(),
      sizeBytes: z.int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

/** The record of a pull: where every byte came from. */
export type Manifest = z.infer<typeof manifestSchema>;
export type FileRecord = Manifest['files'][number];

/** The manifest of a folder, or `null` if there is none that can be read. */
export async function readManifest(folder: string): Promise<Manifest | null> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')));
  } catch {
    return null;
  }
}

/** Writes the manifest of a folder, whole or not at all. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const file = await open(join(folder, `${MANIFEST}.part`), 'w');
  try {
    await file.writeFile(`${JSON.stringify(manifest, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(join(folder, `${MANIFEST}.part`), join(folder, MANIFEST));
}

/** The recorded files that are in the folder as recorded, read to the last byte. */
export async function verifyFiles(folder: string, { files }: Manifest): Promise<FileRecord[]> {
  const intact: FileRecord[] = [];
  for (const file of files) {
    const path = join(folder, file.name);
    const there = await stat(path).catch(() => null);
    const mayBe = there?.isFile() === true && there.size === file.sizeBytes;
    if (mayBe && (await sha256OfFile(path)) === file.sha256) intact.push(file);
  }
  return intact;
}

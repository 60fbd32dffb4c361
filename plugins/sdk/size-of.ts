import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes of a file, or of all files in a folder. A file with several names counts once, as it does on the disk. */
export async function sizeOf(path: string, seen = new Set<string>()): Promise<number> {
  const root = await stat(path).catch(() => null);
  if (root === null) return 0;
  const entries = root.isDirectory()
    ? await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
    : [];
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  let sizeBytes = 0;
  for (const one of root.isDirectory() ? paths : [path]) {
    const found = await stat(one).catch(() => null);
    if (found === null || seen.has(`${found.dev} ${found.ino}`)) continue;
    seen.add(`${found.dev} ${found.ino}`);
    sizeBytes += found.size;
  }
  return sizeBytes;
}

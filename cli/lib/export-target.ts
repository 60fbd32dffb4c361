import { readdir, stat } from 'node:fs/promises';
import { notWritable } from './outcome.ts';

/**
 * Refuses a place that an export could not be copied to, before anything is computed. A folder has to be new or empty: of
 * weights from before and shards beside them, readers would take the old ones. Throws `OUTPUT_NOT_WRITABLE`.
 */
export async function requireTarget(path: string, form: 'file' | 'folder'): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null) return;
  const refuse = (why: string) => notWritable('The export', path, new Error(`${why}; choose another --out`));
  if (form === 'file' && found.isDirectory()) throw refuse('it is a folder');
  if (form === 'file') return;
  if (!found.isDirectory()) throw refuse('it is a file');
  if ((await readdir(path)).length > 0) throw refuse('the folder is not empty');
}

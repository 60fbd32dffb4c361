import { open } from 'node:fs/promises';

/**
 * Waits until what a file or folder holds is on disk, so that it outlives a power cut: a folder's names are its
 * contents.
 * @param {string} place
 */
export async function syncToDisk(place) {
  const handle = await open(place, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some network and Windows file systems cannot sync a folder; they order names in their own way.
    if (!['EINVAL', 'ENOTSUP', 'EISDIR'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? ''))
      throw error;
  } finally {
    await handle.close();
  }
}

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { noteMovement } from '../movement.ts';
import { PRIVATE_FILE, READ_ONLY_FILE } from '../publish.ts';

/** What was copied. */
export interface Copied {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Opens a file that is about to be copied; errors are the caller's to explain, those of the work are not about this file. */
export async function withSource<T>(
  path: string,
  work: (source: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const file = await open(path, 'r');
  try {
    return await work(file.createReadStream({ highWaterMark: 1 << 20, autoClose: false }));
  } finally {
    await file.close();
  }
}

/** Copies a stream to a new read-only file and syncs that. The digest is of what was written: a source may change meanwhile. */
export async function copyHashed(source: AsyncIterable<Buffer>, target: string): Promise<Copied> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const file = await open(target, 'wx', PRIVATE_FILE);
  try {
    for await (const piece of source) {
      hash.update(piece);
      sizeBytes += piece.byteLength;
      await file.writeFile(piece);
      noteMovement();
    }
    await file.chmod(READ_ONLY_FILE);
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

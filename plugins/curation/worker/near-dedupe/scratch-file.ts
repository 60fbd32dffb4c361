import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** A file that is written once from front to back and then read by others. */
export class ScratchFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #sizeBytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async create(path: string): Promise<ScratchFile> {
    return new ScratchFile(path, await open(path, 'w'));
  }

  /** Appends; several calls may be under way at once. Returns where the bytes begin. */
  async append(bytes: Uint8Array): Promise<number> {
    const start = this.#sizeBytes;
    this.#sizeBytes += bytes.length;
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, start + done);
      done += bytesWritten;
    }
    return start;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import type { Digest } from './listing.ts';

/**
 * A file that is still being fetched: `<name>.part`, and `<name>.part.etag` with the ETag of what it is a part of.
 * Digests are kept up to date as it grows, so that a finished file need not be read again.
 */
export class PartFile {
  readonly #path: string;
  readonly #sizeBytes: number;
  readonly #handle: FileHandle;
  #length = 0;
  #etag: string | null = null;
  #sha256: Hash = createHash('sha256');
  #gitBlob: Hash;

  private constructor(path: string, sizeBytes: number, handle: FileHandle) {
    this.#path = path;
    this.#sizeBytes = sizeBytes;
    this.#handle = handle;
    this.#gitBlob = gitBlobHash(sizeBytes);
  }

  /** Opens or begins `path`, the part of a file of `sizeBytes`. What is there is hashed; too much of it is dropped. */
  static async open(path: string, sizeBytes: number): Promise<PartFile> {
    const part = new PartFile(path, sizeBytes, await open(path, 'a+'));
    try {
      const { size } = await part.#handle.stat();
      if (size > sizeBytes) await part.restart(null);
      else if (size > 0) await part.#takeOver();
      return part;
    } catch (error) {
      await part.close();
      throw error;
    }
  }

  get length(): number {
    return this.#length;
  }

  get isWhole(): boolean {
    return this.#length === this.#sizeBytes;
  }

  /** ETag under which the part was begun; `null` when the server told none. */
  get etag(): string | null {
    return this.#etag;
  }

  /** Forgets everything that was fetched. */
  async restart(etag: string | null): Promise<void> {
    await this.#handle.truncate(0);
    this.#length = 0;
    this.#sha256 = createHash('sha256');
    this.#gitBlob = gitBlobHash(this.#sizeBytes);
    this.#etag = etag;
    if (etag === null) await rm(`${this.#path}.etag`, { force: true });
    else await writeFile(`${this.#path}.etag`, etag);
  }

  /** Adds bytes. The caller sees to it that they fit. */
  async append(chunk: Uint8Array): Promise<void> {
    await this.#handle.appendFile(chunk);
    this.#count(chunk);
  }

  /** SHA-256 of all bytes so far if they are the file of that digest, else `null`. */
  sha256If({ kind, hex }: Digest): string | null {
    const sha256 = this.#sha256.copy().digest('hex');
    const own = kind === 'sha256' ? sha256 : this.#gitBlob.copy().digest('hex');
    return this.isWhole && own === hex ? sha256 : null;
  }

  /** Puts the finished file in its place, on disk to stay. */
  async publish(path: string): Promise<void> {
    await this.#handle.sync();
    await rename(this.#path, path);
    await rm(`${this.#path}.etag`, { force: true });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #takeOver(): Promise<void> {
    for await (const chunk of createReadStream(this.#path)) this.#count(chunk as Buffer);
    this.#etag = await readFile(`${this.#path}.etag`, 'utf8').catch(() => null);
  }

  #count(chunk: Uint8Array): void {
    this.#sha256.update(chunk);
    this.#gitBlob.update(chunk);
    this.#length += chunk.length;
  }
}

/** Git names a blob by the SHA-1 of its kind and size, a zero byte, and its bytes. */
function gitBlobHash(sizeBytes: number): Hash {
  return createHash('sha1').update(`blob ${sizeBytes}\0`);
}

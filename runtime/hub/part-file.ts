import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import type { ListedFile } from './listing.ts';

type Contents = Pick<ListedFile, 'sizeBytes' | 'digest'>;

/**
 * A file that is still being fetched: `<name>.part`, and `<name>.part.etag` with the ETag of what it is a part of.
 * Digests are kept up to date as it grows, so that a finished file need not be read again.
 */
export class PartFile {
  readonly #path: string;
  readonly #file: Contents;
  readonly #handle: FileHandle;
  #length = 0;
  #etag: string | null = null;
  #sha256: Hash;
  /** Only where the hub names the content so: the files are large. */
  #gitBlob: Hash | null;

  private constructor(path: string, file: Contents, handle: FileHandle) {
    this.#path = path;
    this.#file = file;
    this.#handle = handle;
    [this.#sha256, this.#gitBlob] = hashesFor(file);
  }

  /** Opens or begins `path`, the part of a file. What is there is hashed; more than the file has is dropped. */
  static async open(path: string, file: Contents): Promise<PartFile> {
    const part = new PartFile(path, file, await open(path, 'a+'));
    try {
      const { size } = await part.#handle.stat();
      if (size > file.sizeBytes) await part.restart(null);
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
    return this.#length === this.#file.sizeBytes;
  }

  /** ETag under which the part was begun; `null` when the server sent none. */
  get etag(): string | null {
    return this.#etag;
  }

  /** Forgets everything that was fetched. */
  async restart(etag: string | null): Promise<void> {
    await this.#handle.truncate(0);
    this.#length = 0;
    [this.#sha256, this.#gitBlob] = hashesFor(this.#file);
    this.#etag = etag;
    if (etag === null) await rm(`${this.#path}.etag`, { force: true });
    else await writeFile(`${this.#path}.etag`, etag);
  }

  /** Adds bytes. The caller sees to it that they fit. */
  async append(chunk: Uint8Array): Promise<void> {
    await this.#handle.appendFile(chunk);
    this.#count(chunk);
  }

  /** SHA-256 of the bytes if they are the file, by size and digest, else `null`. */
  sha256IfRight(): string | null {
    const sha256 = this.#sha256.copy().digest('hex');
    const own = this.#gitBlob?.copy().digest('hex') ?? sha256;
    return this.isWhole && own === this.#file.digest.hex ? sha256 : null;
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
    this.#gitBlob?.update(chunk);
    this.#length += chunk.length;
  }
}

function hashesFor({ sizeBytes, digest }: Contents): [Hash, Hash | null] {
  // Git names a blob by the SHA-1 of its kind and size, a zero byte, and its bytes.
  const isGit = digest.kind === 'gitBlobSha1';
  return [createHash('sha256'), isGit ? createHash('sha1').update(`blob ${sizeBytes}\0`) : null];
}

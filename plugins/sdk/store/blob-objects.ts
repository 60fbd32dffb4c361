/** Artifacts in blobs, each under its digest, with copies in a folder of this process. */
import { chmod, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { canonicalJson } from '../canonical-json.ts';
import type { ArtifactObjectsV1 } from '../contracts/artifact-store.ts';
import { withFileFailures } from '../file-failures.ts';
import { ownedName } from '../owner.ts';
import { linkOrCopy, makeMissing, READ_ONLY_FILE, sha256OfBytes, sha256OfFile } from '../publish.ts';
import {
  damagedArtifact,
  missingArtifact,
  parseArtifact,
  requireDigest,
  toRef,
} from './artifact-failures.ts';
import type { BlobsV1 } from './blobs.ts';
import { copyHashed, withSource } from './copy-hashed.ts';
import { FOLDER_TYPE, packFolder, readEntries, type FolderEntry } from './packed-folder.ts';

/** Name of an artifact's bytes. */
export const objectName = (sha256: string): string => `objects/${sha256}`;

export class BlobObjects implements ArtifactObjectsV1 {
  protected readonly blobs: BlobsV1;
  /** Folder of this process for copies and scratch; made at the first use. */
  protected readonly folder: string;
  /** Copies that are being made or were made, by digest: of files and of packed folders. */
  readonly #files = new Map<string, Promise<string>>();
  readonly #folders = new Map<string, Promise<string>>();

  constructor(blobs: BlobsV1, folder: string) {
    this.blobs = blobs;
    this.folder = folder;
  }

  get readableRoots(): readonly string[] {
    return [join(this.folder, 'objects'), join(this.folder, 'folders')];
  }

  async putBytes(bytes: Uint8Array, mediaType: string): Promise<ArtifactRef> {
    const ref = toRef(sha256OfBytes(bytes), bytes.byteLength, mediaType);
    if (!(await this.#use(ref))) await this.blobs.write(objectName(ref.sha256), bytes);
    return ref;
  }

  async putJson(value: unknown): Promise<ArtifactRef> {
    return await this.putBytes(Buffer.from(canonicalJson(value)), 'application/json');
  }

  async putFile(path: string, mediaType: string): Promise<ArtifactRef> {
    return await withSource(
      path,
      async (source) =>
        await this.#withTemporary(async (temporary) => {
          // A copy first: what is stored is what was hashed, even when the file changes meanwhile.
          const { sha256, sizeBytes } = await copyHashed(source, temporary);
          const ref = toRef(sha256, sizeBytes, mediaType);
          if (!(await this.#use(ref))) await this.blobs.upload(objectName(sha256), temporary);
          return ref;
        }),
    );
  }

  async putFolder(path: string): Promise<ArtifactRef> {
    return await packFolder(this, path);
  }

  async has(ref: ArtifactRef): Promise<boolean> {
    try {
      const parts = ref.mediaType === FOLDER_TYPE ? await this.#entries(ref) : [];
      for (const one of [ref, ...parts.map((entry) => entry.ref)]) if (!(await this.#use(one))) return false;
      return true;
    } catch {
      return false;
    }
  }

  async localPath(ref: ArtifactRef): Promise<string> {
    requireDigest(ref);
    return await remembered(
      this.#files,
      `${ref.sha256} ${ref.sizeBytes}`,
      async () => await this.#fetch(ref),
    );
  }

  async localFolder(ref: ArtifactRef): Promise<string> {
    return await remembered(this.#folders, ref.sha256, async () => {
      const entries = await this.#entries(ref);
      const target = join(this.folder, 'folders', ref.sha256);
      await makeMissing(target);
      for (const entry of entries)
        await linkOrCopy(await this.localPath(entry.ref), join(target, entry.path), { replace: true });
      return target;
    });
  }

  async readBytes(ref: ArtifactRef): Promise<Buffer> {
    return await readFile(await this.localPath(ref));
  }

  async readJson(ref: ArtifactRef): Promise<unknown> {
    return await parseArtifact(ref, async () => await this.readBytes(ref));
  }

  async #entries(ref: ArtifactRef): Promise<readonly FolderEntry[]> {
    const entries = readEntries(await this.readJson(ref));
    if (typeof entries === 'string') throw damagedArtifact(ref, entries);
    return entries;
  }

  /** Whether bytes of this size are there; marks them as used. */
  async #use({ sha256, sizeBytes }: ArtifactRef): Promise<boolean> {
    const name = objectName(sha256);
    return (await this.blobs.stat(name))?.sizeBytes === sizeBytes && (await this.blobs.touch(name));
  }

  async #withTemporary<T>(work: (path: string) => Promise<T>): Promise<T> {
    const temporary = join(this.folder, 'incoming', ownedName(''));
    try {
      return await withFileFailures({ what: 'The copies of artifacts', path: this.folder }, async () => {
        await makeMissing(dirname(temporary));
        return await work(temporary);
      });
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Bytes that do not fit are removed, so that the step that makes them stores them again. */
  async #fetch(ref: ArtifactRef): Promise<string> {
    const name = objectName(ref.sha256);
    return await this.#withTemporary(async (temporary) => {
      if (!(await this.blobs.download(name, temporary))) throw missingArtifact(ref, this.blobs.location);
      const { size } = await stat(temporary);
      const isIntact = size === ref.sizeBytes && (await sha256OfFile(temporary)) === ref.sha256;
      if (!isIntact) {
        await this.blobs.remove(name);
        throw damagedArtifact(ref, `its ${size} bytes do not match its digest and size of ${ref.sizeBytes}`);
      }
      await chmod(temporary, READ_ONLY_FILE);
      const target = join(this.folder, 'objects', ref.sha256);
      await makeMissing(dirname(target));
      await rename(temporary, target);
      return target;
    });
  }
}

/** The result of work that is done once per key; what failed is tried again. */
async function remembered(
  done: Map<string, Promise<string>>,
  key: string,
  work: () => Promise<string>,
): Promise<string> {
  const known = done.get(key);
  if (known !== undefined) return await known;
  const begun = work();
  done.set(key, begun);
  begun.catch(() => done.delete(key));
  return await begun;
}

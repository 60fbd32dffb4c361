/** The objects of a store on a local disk: by digest, each file whole or not there, and local copies of packed folders. */
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { ArtifactObjectsV1 } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { canonicalJson } from '../../../plugins/sdk/canonical-json.ts';
import { withFileFailures } from '../../../plugins/sdk/file-failures.ts';
import { ownedName } from '../../../plugins/sdk/owner.ts';
import {
  linkOrCopy,
  makeFolder,
  moveInto,
  publishFile,
  READ_ONLY_FILE,
  sha256OfBytes,
  syncPath,
} from '../../../plugins/sdk/publish.ts';
import {
  damagedArtifact,
  missingArtifact,
  parseArtifact,
  requireDigest,
  toRef,
} from '../../../plugins/sdk/store/artifact-failures.ts';
import { copyHashed, withSource } from '../../../plugins/sdk/store/copy-hashed.ts';
import {
  FOLDER_TYPE,
  packFolder,
  readEntries,
  type FolderEntry,
} from '../../../plugins/sdk/store/packed-folder.ts';
import { CheckedFiles } from './checked-files.ts';
import { markUsed } from './last-use.ts';

/** `objects/` by digest, `folders/` with the files of packed folders. What a method returned survives a power failure. */
export class FileObjects implements ArtifactObjectsV1 {
  readonly root: string;
  readonly #checked = new CheckedFiles();

  constructor(root: string) {
    this.root = root;
  }

  get readableRoots(): readonly string[] {
    return [join(this.root, 'objects'), join(this.root, 'folders')];
  }

  objectPath(sha256: string): string {
    return join(this.root, 'objects', 'sha256', sha256.slice(0, 2), sha256);
  }

  async putBytes(bytes: Uint8Array, mediaType: string): Promise<ArtifactRef> {
    const sha256 = sha256OfBytes(bytes);
    const path = this.objectPath(sha256);
    if (!(await this.#hasBytes(sha256, bytes.byteLength))) await publishFile(path, bytes, READ_ONLY_FILE);
    return toRef(sha256, bytes.byteLength, mediaType);
  }

  async putJson(value: unknown): Promise<ArtifactRef> {
    return await this.putBytes(Buffer.from(canonicalJson(value)), 'application/json');
  }

  async putFile(path: string, mediaType: string): Promise<ArtifactRef> {
    return await withSource(
      path,
      async (source) =>
        await withFileFailures(
          { what: 'The artifact store', path: this.root },
          async () => await this.#store(source, mediaType),
        ),
    );
  }

  async #store(source: AsyncIterable<Buffer>, mediaType: string): Promise<ArtifactRef> {
    const incoming = join(this.root, 'objects', 'incoming');
    await makeFolder(incoming);
    const temporary = join(incoming, ownedName(''));
    try {
      const { sha256, sizeBytes } = await copyHashed(source, temporary);
      if (!(await this.#hasBytes(sha256, sizeBytes))) await moveInto(temporary, this.objectPath(sha256));
      return toRef(sha256, sizeBytes, mediaType);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async putFolder(path: string): Promise<ArtifactRef> {
    return await packFolder(this, path);
  }

  async localFolder(ref: ArtifactRef): Promise<string> {
    const entries = await this.#entries(ref);
    const target = join(this.root, 'folders', ref.sha256);
    await withFileFailures({ path: target }, async () => {
      await makeFolder(target);
      for (const entry of entries) {
        await this.#placeEntry(await this.localPath(entry.ref), join(target, entry.path), entry.ref);
      }
    });
    await markUsed(target);
    return target;
  }

  async localPath(ref: ArtifactRef): Promise<string> {
    requireDigest(ref);
    const path = this.objectPath(ref.sha256);
    const found = await stat(path).catch(() => null);
    if (found === null) throw missingArtifact(ref, this.root);
    if (found.size !== ref.sizeBytes)
      throw damagedArtifact(ref, `it has ${found.size} bytes, not ${ref.sizeBytes}`);
    if (!(await this.#checked.isIntact(path, ref.sha256))) throw damagedArtifact(ref, 'its SHA-256 differs');
    return path;
  }

  async readBytes(ref: ArtifactRef): Promise<Buffer> {
    return await readFile(await this.localPath(ref));
  }

  async readJson(ref: ArtifactRef): Promise<unknown> {
    return await parseArtifact(ref, async () => await this.readBytes(ref));
  }

  async has(ref: ArtifactRef): Promise<boolean> {
    try {
      const parts = ref.mediaType === FOLDER_TYPE ? await this.#entries(ref) : [];
      for (const one of [ref, ...parts.map((entry) => entry.ref)]) {
        if (!(await this.#checked.use(await this.localPath(one), one.sha256))) return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  async #entries(ref: ArtifactRef): Promise<readonly FolderEntry[]> {
    const entries = readEntries(await this.readJson(ref));
    if (typeof entries === 'string') throw damagedArtifact(ref, entries);
    return entries;
  }

  /** A file of an unpacked folder. One that is there may be a copy that a program changed: then it is replaced. */
  async #placeEntry(object: string, target: string, ref: ArtifactRef): Promise<void> {
    const [wanted, found] = [await stat(object), await stat(target).catch(() => null)];
    if (found === null) return await linkOrCopy(object, target);
    if (found.ino === wanted.ino && found.dev === wanted.dev) return;
    if (found.size === ref.sizeBytes && (await this.#checked.isIntact(target, ref.sha256))) return;
    await linkOrCopy(object, target, { replace: true });
  }

  /** Whether the same bytes are there already. Counts as a use, and makes sure that they are on disk. */
  async #hasBytes(sha256: string, sizeBytes: number): Promise<boolean> {
    const path = this.objectPath(sha256);
    const found = await stat(path).catch(() => null);
    if (found?.size !== sizeBytes) return false;
    const known = this.#checked.knows(path);
    if (!(await this.#checked.isIntact(path, sha256))) return false;
    // Another process may have put it there a moment ago.
    if (!known) await syncPath(join(path, '..'));
    return await this.#checked.use(path, sha256);
  }
}

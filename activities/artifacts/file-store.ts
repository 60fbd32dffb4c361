import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { ArtifactStoreV1 } from '../../plugins/api/artifact-store.ts';
import { EscadaFailure } from '../../plugins/api/failure.ts';
import { canonicalJson } from '../shared/canonical-json.ts';
import { readEntries, type FolderEntry } from './folder-entries.ts';
import { linkOrCopy, publishFile, sha256OfBytes, sha256OfFile } from '../shared/publish.ts';

const FOLDER_TYPE = 'application/vnd.escada.folder+json';
/** Longest JSON that is parsed: a string of more characters could not hold it. */
const MAX_JSON_BYTES = 256 * 1024 * 1024;

function toRef(sha256: string, sizeBytes: number, mediaType: string): ArtifactRef {
  return { uri: `artifact:sha256:${sha256}`, sha256, sizeBytes, mediaType };
}

/** The store on a local disk: `objects/` by digest, `actions/` for finished actions, `runs/` for steps in progress. */
export class FileStore implements ArtifactStoreV1 {
  readonly specificationVersion = 'v1';
  readonly root: string;
  /** Digests whose bytes were checked by this process. */
  readonly #verified = new Set<string>();

  constructor(root: string) {
    this.root = root;
  }

  #objectPath(sha256: string): string {
    return join(this.root, 'objects', 'sha256', sha256.slice(0, 2), sha256);
  }

  async putBytes(bytes: Uint8Array, mediaType: string): Promise<ArtifactRef> {
    const sha256 = sha256OfBytes(bytes);
    if (!(await this.#has(sha256, bytes.byteLength))) await publishFile(this.#objectPath(sha256), bytes);
    return toRef(sha256, bytes.byteLength, mediaType);
  }

  async putJson(value: unknown): Promise<ArtifactRef> {
    return await this.putBytes(Buffer.from(canonicalJson(value)), 'application/json');
  }

  async putFile(path: string, mediaType: string): Promise<ArtifactRef> {
    // Copied first, hashed after: the user's file may change while it is read.
    const incoming = join(this.root, 'objects', 'incoming');
    await mkdir(incoming, { recursive: true });
    const temporary = join(incoming, randomBytes(8).toString('hex'));
    try {
      await pipeline(createReadStream(path), createWriteStream(temporary, { flags: 'wx' }));
      const file = await open(temporary, 'r+');
      await file.sync();
      await file.close();
      const [sha256, { size }] = [await sha256OfFile(temporary), await stat(temporary)];
      if (!(await this.#has(sha256, size))) {
        await mkdir(join(this.#objectPath(sha256), '..'), { recursive: true });
        await rename(temporary, this.#objectPath(sha256));
      }
      return toRef(sha256, size, mediaType);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async putFolder(path: string): Promise<ArtifactRef> {
    const names = await readdir(path, { recursive: true, withFileTypes: true });
    const files = names
      .filter((entry) => entry.isFile())
      .map((entry) => relative(path, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .sort();
    const entries: FolderEntry[] = [];
    for (const name of files) {
      entries.push({ path: name, ref: await this.putFile(join(path, name), 'application/octet-stream') });
    }
    return await this.putBytes(Buffer.from(canonicalJson({ entries })), FOLDER_TYPE);
  }

  async localFolder(ref: ArtifactRef): Promise<string> {
    const entries = readEntries(await this.readJson(ref));
    if (typeof entries === 'string') throw damaged(ref, entries);
    const target = join(this.root, 'folders', ref.sha256);
    for (const entry of entries) {
      await linkOrCopy(await this.localPath(entry.ref), join(target, entry.path));
    }
    return target;
  }

  async localPath(ref: ArtifactRef): Promise<string> {
    // Parts of paths come from it.
    if (!/^[0-9a-f]{64}$/.test(ref.sha256)) throw damaged(ref, 'its digest is not 64 hexadecimal digits');
    const path = this.#objectPath(ref.sha256);
    const found = await stat(path).catch(() => null);
    if (found === null) {
      throw new EscadaFailure({
        code: 'ARTIFACT_MISSING',
        message: `Artifact ${ref.uri} is not in the store at ${this.root}.`,
        fields: { uri: ref.uri },
      });
    }
    if (found.size !== ref.sizeBytes) throw damaged(ref, `it has ${found.size} bytes, not ${ref.sizeBytes}`);
    if (!this.#verified.has(ref.sha256)) {
      if ((await sha256OfFile(path)) !== ref.sha256) throw damaged(ref, 'its SHA-256 differs');
      this.#verified.add(ref.sha256);
    }
    return path;
  }

  async readBytes(ref: ArtifactRef): Promise<Buffer> {
    return await readFile(await this.localPath(ref));
  }

  async readJson(ref: ArtifactRef): Promise<unknown> {
    if (ref.sizeBytes > MAX_JSON_BYTES) throw damaged(ref, `it has more than ${MAX_JSON_BYTES} bytes`);
    const bytes = await this.readBytes(ref);
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch (cause) {
      throw damaged(ref, `it is not JSON (${String(cause).slice(0, 200)})`);
    }
  }

  async #has(sha256: string, sizeBytes: number): Promise<boolean> {
    const found = await stat(this.#objectPath(sha256)).catch(() => null);
    return found?.size === sizeBytes;
  }
}

function damaged(ref: ArtifactRef, why: string): EscadaFailure {
  return new EscadaFailure({
    code: 'ARTIFACT_DAMAGED',
    message: `Artifact ${ref.uri} is damaged: ${why}. Delete the object and run the step that makes it again.`,
    fields: { uri: ref.uri },
  });
}

/** An artifact store whose bytes are in the memory of this process: for tests, and the shortest example of a store. */
import { PACKAGE_VERSION } from '../package-version.ts';
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { PLUGIN_API_VERSION, type PluginV1 } from '../contracts/plugin.ts';
import { PRIVATE_FILE } from '../publish.ts';
import type { BlobInfo, BlobsV1 } from '../store/blobs.ts';
import { BlobStore } from '../store/blob-store.ts';

/** Named bytes in a Map: what several stores open over it, they share, as hosts share a bucket. */
export class MemoryBlobs implements BlobsV1 {
  readonly location = 'memory';
  readonly all = new Map<string, { readonly bytes: Buffer; readonly usedMs: number }>();

  async read(name: string): Promise<Buffer | null> {
    return this.all.get(name)?.bytes ?? null;
  }

  async write(
    name: string,
    bytes: Uint8Array,
    options: { readonly ifAbsent?: boolean } = {},
  ): Promise<boolean> {
    if (options.ifAbsent === true && this.all.has(name)) return false;
    this.all.set(name, { bytes: Buffer.from(bytes), usedMs: Date.now() });
    return true;
  }

  async upload(name: string, path: string): Promise<void> {
    await this.write(name, await readFile(path));
  }

  async download(name: string, path: string): Promise<boolean> {
    const bytes = await this.read(name);
    if (bytes !== null) await writeFile(path, bytes, { flag: 'wx', mode: PRIVATE_FILE });
    return bytes !== null;
  }

  async stat(name: string): Promise<BlobInfo | null> {
    const found = this.all.get(name);
    return found === undefined ? null : { name, sizeBytes: found.bytes.byteLength, usedMs: found.usedMs };
  }

  async touch(name: string): Promise<boolean> {
    const found = this.all.get(name);
    if (found !== undefined) this.all.set(name, { ...found, usedMs: Date.now() });
    return found !== undefined;
  }

  async list(prefix: string): Promise<readonly BlobInfo[]> {
    const names = [...this.all.keys()].filter((name) => name.startsWith(prefix)).sort();
    return (await Promise.all(names.map(async (name) => await this.stat(name)))).filter(
      (one) => one !== null,
    );
  }

  async remove(name: string): Promise<void> {
    this.all.delete(name);
  }

  async close(): Promise<void> {
    // Other stores may be open over it.
  }
}

/** A plugin that brings the kind of store `memory`. Stores that its kind opens share `blobs`. */
export function memoryStorePlugin(blobs: MemoryBlobs = new MemoryBlobs()): PluginV1 {
  return {
    name: 'memory-store',
    version: PACKAGE_VERSION,
    apiVersion: PLUGIN_API_VERSION,
    needs: [],
    optionsSchema: z.strictObject({}),
    register: (registrar) =>
      registrar.addArtifactStore({
        specificationVersion: 'v1',
        id: 'memory',
        optionsSchema: z.strictObject({}),
        open: () => new BlobStore(blobs),
      }),
    close: async () => undefined,
  };
}

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../../core/store/file-store.ts';
import { storeConformance } from './conformance.ts';

storeConformance('file store', async () => {
  const root = await mkdtemp(join(tmpdir(), 'escada-file-store-'));
  return {
    open: () => new FileStore(root),
    damage: async ({ sha256 }, text) => {
      const path = new FileStore(root).objectPath(sha256);
      await chmod(path, 0o600);
      if (text === null) await rm(path);
      else await writeFile(path, text);
    },
  };
});

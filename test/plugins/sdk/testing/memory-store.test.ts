import { storeConformance } from '../../../core/store/conformance.ts';
import { BlobStore } from '../../../../plugins/sdk/store/blob-store.ts';
import { MemoryBlobs } from '../../../../plugins/sdk/testing/memory-store.ts';

storeConformance('store in memory', async () => {
  const blobs = new MemoryBlobs();
  return {
    open: () => new BlobStore(blobs),
    damage: async ({ sha256 }, text) => {
      if (text === null) await blobs.remove(`objects/${sha256}`);
      else await blobs.write(`objects/${sha256}`, Buffer.from(text));
    },
  };
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { FileStore } from '../../../core/store/file-store.ts';
import { openStore } from '../../../core/store/open-store.ts';
import type { ArtifactStoreV1 } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import { createProjectHost } from '../../../plugins.ts';
import type { StoreChoice } from '../../../schemas/spec/project-config.ts';

/** Brings a kind of store that is a file store where its options say. */
const bucketPlugin: PluginV1 = {
  name: 'bucket',
  version: '1.0.0',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) =>
    registrar.addArtifactStore({
      specificationVersion: 'v1',
      id: 'bucket',
      optionsSchema: z.strictObject({ address: z.string().default('/nowhere') }),
      open: ({ address }) => new FileStore(address),
    }),
  close: async () => undefined,
};

async function opened(configured: StoreChoice | undefined, store?: StoreChoice): Promise<ArtifactStoreV1> {
  const host = createProjectHost([{ plugin: bucketPlugin }], { store: configured });
  try {
    return openStore(host, { home: '/home', store });
  } finally {
    await host.close();
  }
}

suite('the store that is opened', () => {
  const CONFIGURED: StoreChoice = { use: 'bucket', options: { address: '/configured' } };

  test('is the files of the home folder where nothing else is chosen', async () => {
    assert.equal((await opened(undefined)).location, '/home/store');
    assert.equal((await opened({ use: 'file', options: { root: 'x' } })).location, '/home/x');
    assert.equal((await opened({ use: 'file', options: { root: '/elsewhere' } })).location, '/elsewhere');
  });

  test("is the configuration file's, unless this process chooses another", async () => {
    assert.equal((await opened(CONFIGURED)).location, '/configured');
    assert.equal((await opened(CONFIGURED, { use: 'file' })).location, '/home/store');
    assert.equal((await opened(CONFIGURED, { use: 'bucket' })).location, '/configured');
    assert.equal((await opened(CONFIGURED, { use: 'bucket', options: {} })).location, '/nowhere');
    assert.equal((await opened(undefined, { use: 'bucket' })).location, '/nowhere');
  });

  test('must exist and fit its options', async () => {
    const code = 'STORE_CONFIG_INVALID';
    await assert.rejects(opened({ use: 'buckets' }), {
      code,
      message: /no artifact store "buckets"\. Did you mean "bucket"\?/,
    });
    await assert.rejects(opened({ use: 'bucket', options: { adress: 'x' } }), {
      code,
      message: /^Options of the artifact store "bucket": .*adress/,
    });
  });
});

/** What plugin code outside of the product gets for the names of the product. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import * as contracts from '../../../plugin-api.ts';
import * as product from '../../../index.ts';
import * as testing from '../../../testing.ts';
import { loadPackages } from '../../../plugins/host/load-packages.ts';
import { ThreadPool } from '../../../plugins/sdk/thread-pool.ts';

/** A plugin that shows in its failure codes what it imported. */
const PLUGIN = `
import * as product from 'escada';
import * as contracts from 'escada/plugin-api';
import * as testing from 'escada/testing';
import * as workflow from 'escada/workflow';
import schema from 'escada/schemas/adaptation-spec.json' with { type: 'json' };
import { z } from 'zod';
export const seen = { product, contracts, testing, workflow, schema, z };
export default {
  name: 'outside', version: '1.0.0', apiVersion: contracts.PLUGIN_API_VERSION, needs: [],
  optionsSchema: z.strictObject({}), register() {}, close: async () => {}, seen,
};
`;

suite('imports of an outside plugin', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-imports-'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const load = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    const [listed] = await loadPackages({ plugins: [{ package: `./${name}` }], file: null, folder });
    return (listed?.plugin ?? assert.fail()) as unknown as {
      readonly seen: Record<string, Record<string, unknown>>;
    };
  };

  test('are the modules of this very process', async () => {
    const { seen } = await load('plugin.js', PLUGIN);
    assert.equal(seen['product'], product);
    assert.equal(seen['contracts'], contracts);
    assert.equal(seen['testing'], testing);
    assert.equal(typeof seen['workflow']?.['adaptModel'], 'function');
    assert.equal(seen['schema']?.['type'], 'object');
    assert.equal(seen['z'], z);
  });

  test('a copy of the product beside the plugin is not used, a zod of its own is', async () => {
    for (const name of ['escada', 'zod']) {
      await mkdir(join(folder, 'own/node_modules', name), { recursive: true });
      const manifest = { name, type: 'module', exports: { '.': './x.js', './plugin-api': './x.js' } };
      await writeFile(join(folder, 'own/node_modules', name, 'package.json'), JSON.stringify(manifest));
      await writeFile(join(folder, 'own/node_modules', name, 'x.js'), 'export const copied = true;');
    }
    const text = `import * as contracts from 'escada/plugin-api'; import * as zod from 'zod';
      export default { name: 'beside', version: '1.0.0', apiVersion: 1, needs: [], register() {},
        optionsSchema: { safeParse: (data) => ({ success: true, data }) }, close: async () => {}, seen: { contracts, zod } };`;
    const { seen } = await load('own/plugin.js', text);
    assert.equal(seen['contracts'], contracts);
    assert.equal(seen['zod']?.['copied'], true);
  });

  test('an entry that the product does not have is refused as by Node', async () => {
    await assert.rejects(load('wrong.js', `import 'escada/nothing'; export default 1;`), {
      code: 'PLUGIN_LOAD_FAILED',
      message: /'\.\/nothing' is not defined by "exports"/,
    });
  });

  test('threads of a plugin resolve as its host does', async () => {
    const file = join(folder, 'thread.js');
    await writeFile(
      file,
      `import { parentPort } from 'node:worker_threads';
       import { PLUGIN_API_VERSION, canonicalJson } from 'escada/plugin-api';
       parentPort.on('message', (job) => parentPort.postMessage(canonicalJson({ job, v: PLUGIN_API_VERSION })));`,
    );
    const pool = new ThreadPool<number, string>(pathToFileURL(file), null, 1, new AbortController().signal);
    const answer = await pool.run(7).finally(() => pool.close());
    assert.equal(answer, `{"job":7,"v":${contracts.PLUGIN_API_VERSION}}`);
  });
});

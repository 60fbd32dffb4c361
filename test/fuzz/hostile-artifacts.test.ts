/** Artifacts and indexes made to harm: their digests are right, what they say is not. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { FileStore } from '../../core/store/file-store.ts';
import { findModelPath } from '../../plugins/sdk/model-folder/model-path.ts';
import { lexicalRetriever } from '../../plugins/retrieval/worker/lexical-retriever.ts';
import { loadSqlite } from '../../plugins/retrieval/worker/sqlite.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import { ensureModel } from '../../runtime/bootstrap/model.mjs';
import { silentProgress } from '../../runtime/bootstrap/progress.mjs';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'escada-hostile-'));
});
after(() => rm(folder, { recursive: true, force: true }));

suite('packed folders', () => {
  let store: FileStore;
  let inner: ArtifactRef;
  before(async () => {
    store = new FileStore(join(folder, 'store'));
    inner = await store.putBytes(Buffer.from('x'), 'text/plain');
  });

  async function refuses(content: unknown, why: RegExp): Promise<void> {
    const bytes = typeof content === 'string' ? content : JSON.stringify(content);
    const ref = await store.putBytes(Buffer.from(bytes), 'application/vnd.escada.folder+json');
    await assert.rejects(store.localFolder(ref), { code: 'ARTIFACT_DAMAGED', message: why });
  }

  test('paths that leave the folder, or that no file system has, are refused', async () => {
    const paths = [
      '../evil',
      'a/../../evil',
      '/etc/evil',
      '..',
      '.',
      '',
      'a//b',
      'a/',
      './a',
      'a/./b',
      'a\0b',
      '..\\evil',
      '\ud800',
      'n'.repeat(300),
      'long/'.repeat(400),
    ];
    for (const path of paths) await refuses({ entries: [{ path, ref: inner }] }, /it names the path/);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.includes('evil')),
      [],
    );
  });

  test('a path that is there twice, or is a file and a folder, is refused', async () => {
    const entry = (path: string) => ({ path, ref: inner });
    await refuses({ entries: [entry('a'), entry('a')] }, /more than once/);
    await refuses({ entries: [entry('a/b'), entry('a')] }, /both a file and a folder/);
    await refuses({ entries: [entry('a'), entry('a/b/c')] }, /both a file and a folder/);
  });

  test('lists of another shape are refused', async () => {
    const none = /not the list of a packed folder/;
    for (const content of [
      null,
      1,
      'x',
      [],
      {},
      { entries: {} },
      { entries: [null] },
      { entries: [{ path: 1 }] },
    ]) {
      await refuses(JSON.stringify(content), none);
    }
    await refuses({ entries: [{ path: 'a', ref: { ...inner, sha256: '../../../../etc/passwd' } }] }, none);
    await refuses({ entries: [{ path: 'a', ref: { ...inner, sizeBytes: -1 } }] }, none);
    await refuses({ entries: [{ path: 'a', ref: { ...inner, sizeBytes: 2 } }] }, /1 bytes, not 2/);
    await refuses({ entries: [], more: 1 }, none);
    await refuses('{"entries": [', /not JSON/);
    await refuses(`{"entries":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, none);
  });

  test('a digest that is a path is not looked up', async () => {
    const evil = { ...inner, sha256: `../../${'a'.repeat(58)}` };
    await assert.rejects(store.localPath(evil), { code: 'ARTIFACT_DAMAGED', message: /hexadecimal/ });
  });
});

suite('retrieval indexes', () => {
  const work = { signal: new AbortController().signal };

  /** A good index, changed by SQL. */
  async function changed(name: string, sql: string): Promise<string> {
    const path = join(folder, name);
    await lexicalRetriever.doWrite([{ id: 'a', text: 'kettle boils' }], path, work);
    const database = new (loadSqlite().DatabaseSync)(path);
    database.exec(sql);
    database.close();
    return path;
  }

  test('tables that are programs in truth are refused before they are read', async () => {
    const endless =
      'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS place, x AS id, x AS text FROM c';
    const path = await changed('view', `DROP TABLE documents; CREATE VIEW documents AS ${endless}`);
    await assert.rejects(lexicalRetriever.doOpen(path, work), {
      code: 'DATA_UNREADABLE',
      message: /its tables/,
    });
    const trigger = 'CREATE TRIGGER t AFTER INSERT ON documents BEGIN SELECT 1; END';
    await assert.rejects(lexicalRetriever.doOpen(join(folder, 'view'), work), { code: 'DATA_UNREADABLE' });
    const second = await changed('trigger', trigger);
    await assert.rejects(lexicalRetriever.doOpen(second, work), {
      code: 'DATA_UNREADABLE',
      message: /its tables/,
    });
  });

  test('pages that are damaged are refused when they are needed', async () => {
    const path = await changed('pages', '');
    const bytes = await readFile(path);
    let refused = 0;
    for (let page = 1; page * 4096 < bytes.length; page += 1) {
      const damaged = Buffer.from(bytes);
      damaged.fill(0xff, page * 4096, page * 4096 + 4096);
      await writeFile(path, damaged);
      try {
        const index = await lexicalRetriever.doOpen(path, work);
        try {
          const hits = await index.doSearch('kettle', 3);
          await index.doTexts(hits.map(({ id }) => id));
        } finally {
          await index.close();
        }
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'DATA_UNREADABLE', String(error));
        refused += 1;
      }
    }
    assert.ok(refused >= 3, `${refused} of the damages were noticed`);
  });
});

test('ids of models are names, never paths', async () => {
  const env = { HOME: folder, PATH: '', ESCADA_CACHE_DIR: folder };
  for (const id of ['../x', '..', '.', '', 'a/b', '__proto__', 'constructor', 'a\0b']) {
    await assert.rejects(findModelPath(id, env), { code: 'MODEL_NOT_FOUND' }, id);
    await assert.rejects(
      ensureModel({ id, progress: silentProgress, env }),
      /SETUP_|no model|unknown|Known/i,
      id,
    );
  }
});

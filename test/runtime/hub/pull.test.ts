import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { findModelPath } from '../../../plugins/sdk/model-folder/model-path.ts';
import { sha256 } from './fake-hub.ts';
import { closedEndpoint, COMMIT, ID, MODEL_FILES, NAME, tinyFiles, withHub } from './support.ts';

const OTHER = 'beef0123456789abcdefbeef0123456789abcdef';

suite('pullModel', () => {
  test('brings what the engine reads, as listed, pinned to the commit, and records it', async () => {
    const beside = (files: Record<string, Buffer>) => {
      files['README.md'] = Buffer.from('a card');
      files['pytorch_model.bin'] = Buffer.from('a pickle');
      files['manifest.json'] = Buffer.from('"of the repository"');
      files['onnx/config.json'] = Buffer.from('{}');
      files['special_tokens_map.json'] = Buffer.from('{}');
      files['chat_template.jinja'] = Buffer.from('{{ messages }}');
    };
    await withHub(async ({ pull, folder, env, hub, events }) => {
      const { id, path, manifest, receivedBytes } = await pull();
      assert.deepEqual([id, path], [ID, join(folder, 'models', ID)]);
      assert.equal(await findModelPath(id, env), path);
      const names = [...MODEL_FILES, 'chat_template.jinja', 'special_tokens_map.json'].sort();
      assert.deepEqual((await readdir(path)).sort(), [...names, 'manifest.json'].sort());
      const files = hub.repositories[NAME]?.commits[COMMIT] ?? {};
      for (const name of names) assert.deepEqual(await readFile(join(path, name)), files[name], name);
      const written = JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8')) as unknown;
      assert.deepEqual(written, manifest);
      assert.deepEqual(manifest, {
        manifestVersion: 1,
        endpoint: hub.endpoint,
        repository: NAME,
        requestedRevision: 'main',
        revision: COMMIT,
        files: names.map((name) => {
          const body = files[name] ?? Buffer.alloc(0);
          return { name, path: name, sizeBytes: body.length, sha256: sha256(body) };
        }),
      });
      const sizeBytes = names.reduce((sum, name) => sum + (files[name]?.length ?? 0), 0);
      assert.equal(receivedBytes, sizeBytes);
      const plan = events.find(({ kind }) => kind === 'plan');
      assert.deepEqual(plan, {
        kind: 'plan',
        folder: path,
        commit: COMMIT,
        files: 6,
        totalBytes: sizeBytes,
        leftBytes: sizeBytes,
      });
      const last = events.findLast(({ kind }) => kind === 'progress');
      assert.deepEqual(last, {
        kind: 'progress',
        doneBytes: sizeBytes,
        totalBytes: sizeBytes,
        receivedBytes: sizeBytes,
      });
      // Neither parts nor locks are left.
      assert.deepEqual(await readdir(join(folder, 'models')), [ID]);
    }, beside);
  });

  test('a second pull verifies and fetches nothing; by commit it needs no network', async () => {
    await withHub(async ({ pull, hub, env }) => {
      const first = await pull();
      hub.seen.length = 0;
      const second = await pull();
      assert.deepEqual(second, { ...first, receivedBytes: 0 });
      assert.deepEqual(hub.downloads(), []);
      env['HF_ENDPOINT'] = await closedEndpoint();
      assert.equal((await pull(`${NAME}@${COMMIT}`)).path, first.path);
      await assert.rejects(pull(), { code: 'HUB_UNREACHABLE', message: /cannot be reached/ });
    });
  });

  test('a damaged and a missing file are fetched again, and only these', async () => {
    await withHub(async ({ pull, hub }) => {
      const { path, manifest } = await pull();
      const damaged = await readFile(join(path, 'model.safetensors'));
      damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
      await writeFile(join(path, 'model.safetensors'), damaged);
      await rm(join(path, 'config.json'));
      const before = await stat(join(path, 'tokenizer.json'));
      hub.seen.length = 0;
      const again = await pull();
      assert.deepEqual(again.manifest, manifest);
      assert.equal(hub.downloads().filter(({ path }) => path.includes('/resolve/')).length, 2);
      assert.equal((await stat(join(path, 'tokenizer.json'))).mtimeMs, before.mtimeMs);
      for (const [name, body] of Object.entries(await tinyFiles())) {
        assert.deepEqual(await readFile(join(path, name)), body, name);
      }
    });
  });

  test('revisions are separate models; the branch of today is not that of tomorrow', async () => {
    await withHub(async ({ pull, hub, folder }) => {
      await pull();
      const files = { ...(await tinyFiles()), 'generation_config.json': Buffer.from('{}') };
      const commits = { ...hub.repositories[NAME]?.commits, [OTHER]: files };
      hub.repositories[NAME] = { refs: { main: OTHER, 'refs/pr/1': COMMIT }, commits };
      const second = await pull();
      assert.equal(second.manifest.revision, OTHER);
      assert.equal((await pull(NAME, { revision: 'refs/pr/1' })).receivedBytes, 0);
      assert.deepEqual(
        (await readdir(join(folder, 'models'))).sort(),
        [ID, `tests--tiny-llama3--${OTHER.slice(0, 12)}`].sort(),
      );
    });
  });

  test('--out names the folder; one that holds something else is left alone', async () => {
    await withHub(async ({ pull, hub, folder }) => {
      const out = join(folder, 'deep', 'model');
      await mkdir(out, { recursive: true });
      const { id, path } = await pull(NAME, { out });
      assert.deepEqual([id, path], [out, out]);
      assert.equal((await pull(NAME, { out })).receivedBytes, 0);
      const commits = { ...hub.repositories[NAME]?.commits, [OTHER]: await tinyFiles() };
      hub.repositories[NAME] = { refs: { main: OTHER }, commits };
      await assert.rejects(pull(NAME, { out }), {
        code: 'OUTPUT_NOT_WRITABLE',
        message: new RegExp(`holds ${NAME} at ${COMMIT}`),
      });
      const strange = join(folder, 'strange');
      await mkdir(strange);
      await writeFile(join(strange, 'letter.txt'), 'dear');
      await assert.rejects(pull(NAME, { out: strange }), {
        code: 'OUTPUT_NOT_WRITABLE',
        message: /other files/,
      });
      assert.deepEqual(await readdir(strange), ['letter.txt']);
      await assert.rejects(pull(NAME, { out: join(strange, 'letter.txt') }), { code: 'OUTPUT_NOT_WRITABLE' });
      assert.equal(await readFile(join(strange, 'letter.txt'), 'utf8'), 'dear');
    });
  });

  test('one GGUF file, from a folder of the repository too', async () => {
    const add = (files: Record<string, Buffer>) => {
      files['gguf/tiny.Q4_0.gguf'] = Buffer.alloc(9000, 7);
      files['tiny.F16.gguf'] = Buffer.alloc(9000, 8);
    };
    await withHub(async ({ pull, folder, env }) => {
      const { id, path, manifest } = await pull(NAME, { file: 'gguf/tiny.Q4_0.gguf' });
      assert.equal(id, `${ID}--tiny.Q4_0`);
      assert.equal(path, join(folder, 'models', id, 'tiny.Q4_0.gguf'));
      assert.equal(await findModelPath(id, env), path);
      assert.deepEqual(
        manifest.files.map((file) => [file.name, file.path]),
        [['tiny.Q4_0.gguf', 'gguf/tiny.Q4_0.gguf']],
      );
      assert.equal((await pull(NAME, { file: 'gguf/tiny.Q4_0.gguf' })).receivedBytes, 0);
      await assert.rejects(pull(NAME, { file: 'tiny.Q8_0.gguf' }), {
        code: 'HUB_NOT_FOUND',
        message: /has no tiny\.Q8_0\.gguf\. Choose one with --file: tiny\.F16\.gguf \(9000 bytes\)/,
      });
    }, add);
  });

  test('two pulls at once: one fetches, the other finds it done', async () => {
    await withHub(async ({ pull, hub }) => {
      const both = await Promise.all([pull(), pull()]);
      assert.equal(both.filter(({ receivedBytes }) => receivedBytes === 0).length, 1);
      const asked = hub.downloads().filter(({ origin }) => origin === 'hub');
      assert.equal(asked.length, MODEL_FILES.length);
    });
  });

  test('lists of several pages are read to the end, and only from the hub itself', async () => {
    await withHub(async ({ pull, hub }) => {
      hub.pageEntries = 1;
      // A mirror may name the hub behind it in its links.
      hub.linkBase = 'https://hub.invalid';
      const { manifest } = await pull();
      assert.deepEqual(
        manifest.files.map(({ name }) => name),
        MODEL_FILES,
      );
      assert.equal(hub.seen.filter(({ path }) => path.includes('/tree/')).length, MODEL_FILES.length);
    });
  });

  test('sharded weights: the shards that the index names, and no others', async () => {
    const shard = (files: Record<string, Buffer>) => {
      delete files['model.safetensors'];
      const weight_map = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' };
      files['model.safetensors.index.json'] = Buffer.from(JSON.stringify({ metadata: {}, weight_map }));
      files['pytorch_model.bin.index.json'] = Buffer.from('{}');
      for (const name of [...Object.values(weight_map), 'consolidated.safetensors']) {
        files[name] = Buffer.from(name.repeat(300));
      }
    };
    await withHub(async ({ pull }) => {
      const { path, manifest } = await pull();
      const names = [
        'config.json',
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
        'model.safetensors.index.json',
        'tokenizer.json',
        'tokenizer_config.json',
      ];
      assert.deepEqual(
        manifest.files.map(({ name }) => name),
        names,
      );
      await rm(join(path, 'model-00002-of-00002.safetensors'));
      assert.deepEqual((await pull()).manifest, manifest);
      await rm(join(path, 'model.safetensors.index.json'));
      assert.deepEqual((await pull()).manifest, manifest);
    }, shard);
  });
});

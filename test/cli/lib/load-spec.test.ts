import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { FileStore } from '../../../core/store/file-store.ts';
import { importDataFile, loadSpec, localModelPath, readSpecFile } from '../../../cli/lib/load-spec.ts';

const SPEC = { name: 'größe', target: 0.5 };
const TEXT = JSON.stringify(SPEC);

/** Bytes of UTF-16 with the other order. */
const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16();

const ENCODINGS: Readonly<Record<string, Buffer>> = {
  'UTF-8': Buffer.from(TEXT),
  'UTF-8 with a byte order mark': Buffer.from(`\ufeff${TEXT}`),
  'UTF-16, little end first': Buffer.from(`\ufeff${TEXT}`, 'utf16le'),
  'UTF-16 without a mark, little end first': Buffer.from(TEXT, 'utf16le'),
  'UTF-16 without a mark, big end first': swapped(Buffer.from(TEXT, 'utf16le')),
  'UTF-16, big end first': swapped(Buffer.from(`\ufeff${TEXT}`, 'utf16le')),
};

suite('spec files as editors write them', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'escada-spec-'))));
  after(async () => await rm(folder, { recursive: true }));

  for (const [name, bytes] of Object.entries(ENCODINGS)) {
    test(name, async () => {
      const path = join(folder, 'spec.json');
      await writeFile(path, bytes);
      assert.deepEqual(await readSpecFile(path), SPEC);
    });
  }

  test('Latin-1 is refused by name, with what to do', async () => {
    const path = join(folder, 'latin.json');
    await writeFile(path, Buffer.from(TEXT, 'latin1'));
    await assert.rejects(readSpecFile(path), {
      code: 'INVALID_SPEC',
      message: /latin\.json is not text in UTF-8\. Save/,
    });
  });

  test('UTF-32 and a file of zeros are no text', async () => {
    const utf32 = Buffer.from(
      Uint32Array.from([0xfeff, ...TEXT].map((c) => (typeof c === 'number' ? c : c.codePointAt(0)!))).buffer,
    );
    for (const bytes of [utf32, Buffer.alloc(64)]) {
      const path = join(folder, 'zeros.json');
      await writeFile(path, bytes);
      await assert.rejects(readSpecFile(path), { code: 'INVALID_SPEC', message: /is not text in UTF-8/ });
    }
  });

  test('JSON that is no object is refused as what it is', async () => {
    const path = join(folder, 'other.json');
    await writeFile(path, '[1]');
    await assert.rejects(readSpecFile(path), {
      code: 'INVALID_SPEC',
      message: /other\.json is a list; a spec/,
    });
    await writeFile(path, '"x"');
    await assert.rejects(readSpecFile(path), { message: /other\.json is "x"; a spec is one JSON object/ });
  });

  test('a folder, a missing file', async () => {
    await assert.rejects(readSpecFile(folder), {
      code: 'FILE_NOT_FOUND',
      message: /it is a folder; name the JSON file/,
    });
    await assert.rejects(readSpecFile(join(folder, 'no.json')), { message: /There is no spec file/ });
  });
});

suite('data files', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'escada-data-'))));
  after(async () => await rm(folder, { recursive: true }));

  test('keep the name that their owner gave them', async () => {
    await writeFile(join(folder, 'rows.csv'), 'a,b\n');
    const spec = { data: { source: { path: 'rows.csv' }, documents: { source: { path: './rows.csv' } } } };
    await writeFile(join(folder, 'spec.json'), JSON.stringify(spec));
    const { data } = await loadSpec(join(folder, 'spec.json'), new FileStore(join(folder, 'store')));
    const names = [data.source, data.documents?.source].map((source) => (source as { name?: string }).name);
    assert.deepEqual(names, ['rows.csv', './rows.csv']);
  });

  test('a link that leads nowhere and a missing file have different messages', async () => {
    await symlink(join(folder, 'gone'), join(folder, 'link.csv'));
    await assert.rejects(
      importDataFile(join(folder, 'link.csv'), new FileStore(join(folder, 'store')), { name: 'link.csv' }),
      {
        code: 'FILE_NOT_FOUND',
        message: /"link\.csv" is a link to .*gone, where there is no file/,
      },
    );
  });

  test('that are missing, folders or devices are refused by that name; a store in the way is not blamed on them', async () => {
    await mkdir(join(folder, 'folder.csv'));
    await writeFile(join(folder, 'good.csv'), 'a,b\n');
    const load = async (name: string, path: string, store = join(folder, 'store')) =>
      await importDataFile(path, new FileStore(store), { name });
    const code = 'FILE_NOT_FOUND';
    await assert.rejects(load('my.csv', join(folder, 'no.csv')), {
      code,
      message: /^There is no file "my\.csv"/,
    });
    await assert.rejects(load('my.csv', join(folder, 'folder.csv')), {
      code,
      message: /"my\.csv" is a folder/,
    });
    await assert.rejects(load('my', folder), { code, message: /"my" is a folder/ });
    await assert.rejects(load('my.csv', '/dev/null'), { code, message: /is not a regular file/ });
    await assert.rejects(load('my.csv', join(folder, 'good.csv'), join(folder, 'good.csv', 'store')), {
      code: 'PATH_NOT_USABLE',
      message: /^The artifact store .*good\.csv\/store/,
    });
  });
});

suite('the model of a spec file', () => {
  test('a path, or a name beside the spec, is absolute; another id stays', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'escada-spec-'));
    try {
      await mkdir(join(folder, 'model'));
      const path = join(folder, 'spec.json');
      const idOf = async (id: string) => {
        await writeFile(path, JSON.stringify({ model: { provider: 'p', id } }));
        const spec = await loadSpec(path, new FileStore(join(folder, 'store')));
        return [spec.model?.id, localModelPath(spec)];
      };
      const beside = join(folder, 'model');
      assert.deepEqual(await idOf('model'), [beside, beside]);
      assert.deepEqual(await idOf('./model'), [beside, beside]);
      assert.deepEqual(await idOf('../other'), [join(folder, '../other'), join(folder, '../other')]);
      assert.deepEqual(await idOf('/models/m'), ['/models/m', '/models/m']);
      assert.deepEqual(await idOf('smollm2-135m-instruct'), ['smollm2-135m-instruct', undefined]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

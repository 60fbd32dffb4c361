import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { resolveDataPath, type DataRoots } from '../../core/data-roots.ts';
import { readSettings } from '../../runtime/settings.ts';
import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';

let base = '';
let access: DataRoots = { roots: [], closed: [] };

before(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'escada-roots-')));
  const root = join(base, 'root');
  for (const folder of ['sub', '.git', 'store/objects']) await mkdir(join(root, folder), { recursive: true });
  await mkdir(join(base, 'cache'));
  for (const file of ['rows.csv', 'sub/rows.csv', '.env', '.git/config', 'store/objects/ab'])
    await writeFile(join(root, file), 'x');
  await writeFile(join(base, 'secret.csv'), 'x');
  await writeFile(join(base, 'cache/8f3a'), 'x');
  await symlink(join(base, 'secret.csv'), join(root, 'link.csv'));
  await symlink('.env', join(root, 'settings.csv'));
  await symlink(join(root, 'sub/rows.csv'), join(root, 'inner.csv'));
  await symlink(root, join(base, 'linked-root'));
  access = { roots: [root], closed: [join(root, 'store')] };
});
after(async () => await rm(base, { recursive: true, force: true }));

/** Code and message of a refusal. */
async function refusal(path: string, given: DataRoots = access): Promise<{ code: string; message: string }> {
  try {
    await resolveDataPath(path, given);
  } catch (error) {
    assert.ok(isEscadaFailure(error), String(error));
    return { code: error.code, message: error.message };
  }
  assert.fail(`${path} was accepted`);
}

describe('files that specs may name', () => {
  test('files inside a root, by relative and absolute path, through inner links', async () => {
    const root = join(base, 'root');
    for (const path of ['rows.csv', './sub/rows.csv', join(root, 'rows.csv'), 'sub/../rows.csv'])
      assert.equal((await resolveDataPath(path, access)).name, path);
    assert.equal((await resolveDataPath('inner.csv', access)).path, join(root, 'sub/rows.csv'));
  });

  test('a root that is a link, named by either of its paths', async () => {
    const linked = { roots: [join(base, 'linked-root')], closed: [] };
    for (const path of ['rows.csv', join(base, 'linked-root/rows.csv'), join(base, 'root/rows.csv')])
      assert.equal((await resolveDataPath(path, linked)).path, join(base, 'root/rows.csv'));
  });

  test('the name that was given stays, so that its ending gives the format of what a link leads to', async () => {
    await symlink(join(base, 'cache/8f3a'), join(base, 'root/data.csv'));
    const both = { roots: [join(base, 'root'), join(base, 'cache')], closed: [] };
    const found = await resolveDataPath('data.csv', both);
    assert.deepEqual(found, { path: join(base, 'cache/8f3a'), name: 'data.csv' });
    const { code, message } = await refusal('data.csv');
    assert.equal(code, 'PATH_OUTSIDE_DATA_ROOTS');
    assert.match(message, /is a link to .*cache\/8f3a, which is outside the data roots/);
  });
});

describe('files that specs may not name', () => {
  test('outside: the answer is the same whether or not the file exists', async () => {
    for (const path of ['../secret.csv', join(base, 'secret.csv')]) {
      const missing = path.replace('secret', 'no-such-file');
      const [found, absent] = [await refusal(path), await refusal(missing)];
      assert.equal(found.code, 'PATH_OUTSIDE_DATA_ROOTS');
      assert.deepEqual({ ...absent, message: absent.message.replace('no-such-file', 'secret') }, found);
    }
  });

  test('hidden names, whether there or not, also behind a link; the store', async () => {
    for (const path of [
      '.env',
      '.git/config',
      '.no-such',
      'sub/../.env',
      'settings.csv',
      'store/objects/ab',
    ]) {
      const { code, message } = await refusal(path);
      assert.equal(code, 'PATH_OUTSIDE_DATA_ROOTS', path);
      assert.doesNotMatch(message, /no file/);
    }
  });

  test('a link that leads out, a folder, a missing file, no roots at all', async () => {
    assert.match((await refusal('link.csv')).message, /is a link to .*secret\.csv/);
    assert.match((await refusal('sub')).message, /is not a file; name one file of rows/);
    assert.equal((await refusal('none.csv')).code, 'FILE_NOT_FOUND');
    assert.match((await refusal('rows.csv', { roots: [], closed: [] })).message, /none is configured/);
  });

  test('by default only the folder `data` is open, never the working directory', () => {
    assert.deepEqual(readSettings({}).dataRoots, [join(process.cwd(), 'data')]);
  });
});

import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { storeId } from '../../../../core/store/file-store/store-id.ts';

suite("a store's id", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'escada-id-'));
  });
  after(async () => await rm(root, { recursive: true, force: true }));

  test('is made once, also when several ask at once, and stays', async () => {
    const store = join(root, 'new', 'store');
    const ids = await Promise.all(Array.from({ length: 8 }, async () => await storeId(store)));
    assert.equal(new Set(ids).size, 1);
    assert.match(ids[0] ?? '', /^[0-9a-f]{12}$/);
    assert.equal(await storeId(store), ids[0]);
    assert.deepEqual(await readdir(store), ['id']);
  });

  test('differs between stores, and between a store and its copy', async () => {
    const [a, b, copy] = [join(root, 'a'), join(root, 'b'), join(root, 'copy')];
    const ids = [await storeId(a), await storeId(b)];
    await cp(a, copy, { recursive: true });
    ids.push(await storeId(copy));
    assert.equal(new Set(ids).size, 3);
  });

  test('that was torn is made again', async () => {
    const store = join(root, 'torn');
    await storeId(store);
    await writeFile(join(store, 'id'), 'abc');
    const id = await storeId(store);
    assert.equal(await storeId(store), id);
  });
});

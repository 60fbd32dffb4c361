import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { placeFile, placeFolder } from '../../../plugins/sdk/place-output.ts';
import { FileStore } from '../../../core/store/file-store.ts';
import { linkOrCopy, makeMissing, publishFile } from '../../../plugins/sdk/publish.ts';

const newFolder = async (): Promise<string> => await mkdtemp(join(tmpdir(), 'escada-publish-'));

/** Runs `work` and returns the inodes of all files and folders that were synced meanwhile, in order. */
async function syncedDuring(work: () => Promise<unknown>): Promise<number[]> {
  const any = await open(tmpdir(), 'r');
  const handle = Object.getPrototypeOf(any) as { sync: () => Promise<void>; stat: typeof any.stat };
  await any.close();
  const { sync } = handle;
  const inodes: number[] = [];
  handle.sync = async function (this: typeof any) {
    inodes.push((await this.stat()).ino);
    await sync.call(this);
  };
  try {
    await work();
  } finally {
    handle.sync = sync;
  }
  return inodes;
}

const inode = async (path: string): Promise<number> => (await stat(path)).ino;

suite('what is published is on disk', () => {
  test('the file before its name, then its folder, and every folder that was made for it in its parent', async () => {
    const root = await newFolder();
    const path = join(root, 'a', 'b', 'file');
    const synced = await syncedDuring(async () => await publishFile(path, 'bytes'));
    for (const one of [path, join(root, 'a', 'b'), join(root, 'a'), root]) {
      assert.ok(synced.includes(await inode(one)), one);
    }
    assert.ok(synced.indexOf(await inode(path)) < synced.lastIndexOf(await inode(dirname(path))));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  test('objects of a store, whichever way they come in', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'data', 'x'), 'x');
    const puts = [
      async (store: FileStore) => await store.putFile(join(folder, 'data', 'x'), 'text/plain'),
      async (store: FileStore) => await store.putBytes(Buffer.from('y'), 'text/plain'),
      async (store: FileStore) => await store.putFolder(join(folder, 'data')),
    ];
    for (const [index, put] of puts.entries()) {
      const store = new FileStore(join(folder, `store-${index}`));
      let path = '';
      const synced = await syncedDuring(async () => (path = await store.localPath(await put(store))));
      for (let at = path; at !== dirname(folder); at = dirname(at)) {
        assert.ok(synced.includes(await inode(at)), at);
      }
    }
  });

  test('what another process put there a moment ago is made sure of, too', async () => {
    const root = await newFolder();
    const ref = await new FileStore(root).putBytes(Buffer.from('y'), 'text/plain');
    const other = new FileStore(root);
    const synced = await syncedDuring(async () => await other.putBytes(Buffer.from('y'), 'text/plain'));
    assert.ok(synced.includes(await inode(dirname(other.objectPath(ref.sha256)))));
  });

  test('a write that fails leaves no file behind', async () => {
    const root = await newFolder();
    await mkdir(join(root, 'folder', 'inside'), { recursive: true });
    await assert.rejects(publishFile(join(root, 'folder'), 'bytes'), { code: 'PATH_NOT_USABLE' });
    assert.deepEqual(await readdir(root), ['folder']);
  });
});

suite('links', () => {
  test('an existing target stays, unless it is to be replaced; nothing else is left in the folder', async () => {
    const root = await newFolder();
    await writeFile(join(root, 'from'), 'whole');
    await mkdir(join(root, 'to'));
    await writeFile(join(root, 'to', 'x'), 'who');
    await linkOrCopy(join(root, 'from'), join(root, 'to', 'x'));
    assert.equal(await readFile(join(root, 'to', 'x'), 'utf8'), 'who');
    await linkOrCopy(join(root, 'from'), join(root, 'to', 'x'), { replace: true });
    assert.equal(await readFile(join(root, 'to', 'x'), 'utf8'), 'whole');
    await linkOrCopy(join(root, 'from'), join(root, 'to', 'y'));
    assert.equal(await inode(join(root, 'to', 'y')), await inode(join(root, 'from')));
    assert.deepEqual((await readdir(join(root, 'to'))).sort(), ['x', 'y']);
  });

  test('across file systems, a copy appears whole', async (t) => {
    const root = await newFolder();
    const other = await mkdtemp('/dev/shm/escada-publish-').catch(() => null);
    if (other === null) return t.diagnostic('no second file system on this machine');
    await writeFile(join(other, 'from'), 'whole');
    await assert.rejects(link(join(other, 'from'), join(root, 'x')), { code: 'EXDEV' });
    await linkOrCopy(join(other, 'from'), join(root, 'sub', 'x'));
    assert.equal(await readFile(join(root, 'sub', 'x'), 'utf8'), 'whole');
    assert.deepEqual(await readdir(join(root, 'sub')), ['x']);
  });
});

suite('outputs', () => {
  test("are the user's own: written whole, replaced whole, not read-only", async () => {
    const root = await newFolder();
    const store = new FileStore(join(root, 'store'));
    const object = await store.localPath(await store.putBytes(Buffer.from('report'), 'text/html'));
    const out = join(root, 'report.html');
    for (const from of [object, object, Buffer.from('report')]) await placeFile(from, out, 'The report');
    assert.equal(await readFile(out, 'utf8'), 'report');
    assert.equal((await stat(out)).mode & 0o777, 0o666 & ~process.umask());
    assert.notEqual(await inode(out), await inode(object));
    await mkdir(join(root, 'model', 'sub'), { recursive: true });
    await writeFile(join(root, 'model', 'sub', 'w'), 'weights');
    const local = await store.localFolder(await store.putFolder(join(root, 'model')));
    await mkdir(join(root, 'empty'));
    for (const to of ['new', 'empty']) {
      await placeFolder(local, join(root, to), 'The export');
      assert.equal(await readFile(join(root, to, 'sub', 'w'), 'utf8'), 'weights');
      assert.equal((await stat(join(root, to, 'sub', 'w'))).mode & 0o777, 0o666 & ~process.umask());
    }
    assert.deepEqual((await readdir(root)).sort(), ['empty', 'model', 'new', 'report.html', 'store']);
  });

  test('that cannot be written say why, by the path as it was given, and leave nothing', async () => {
    const root = await newFolder();
    await mkdir(join(root, 'folder', 'x'), { recursive: true });
    await writeFile(join(root, 'file'), '');
    const missing = join(root, 'no', 'report');
    const refused = { code: 'OUTPUT_NOT_WRITABLE' };
    await assert.rejects(placeFile(Buffer.from(''), missing, 'The report'), {
      ...refused,
      message: `The report cannot be written to ${missing}: its folder does not exist.`,
    });
    await assert.rejects(placeFile(Buffer.from(''), join(root, 'folder'), 'The report'), {
      ...refused,
      message: /it is a folder/,
    });
    await assert.rejects(placeFile(Buffer.from(''), join(root, 'file', 'x'), 'The report'), {
      ...refused,
      message: /a part of the path is a file/,
    });
    assert.deepEqual((await readdir(root)).sort(), ['file', 'folder']);
  });
});

suite('folders that are missing', () => {
  test('made one by one; the uppermost that was made is returned; a file in the way is an error', async () => {
    const base = await mkdtemp(join(tmpdir(), 'escada-missing-'));
    assert.equal(await makeMissing(join(base, 'a/b/c')), join(base, 'a'));
    assert.equal(await makeMissing(join(base, 'a/b/c')), undefined);
    await writeFile(join(base, 'file'), 'x');
    await assert.rejects(makeMissing(join(base, 'file')), { code: 'EEXIST' });
    await assert.rejects(makeMissing(join(base, 'file/b')), { code: 'ENOTDIR' });
    await rm(base, { recursive: true });
  });

  test(
    'a place where no folder can be made is refused at once',
    { skip: process.platform !== 'linux' },
    async () => {
      const refused = { code: 'OUTPUT_NOT_WRITABLE', message: 'No folder can be made in /proc.' };
      await assert.rejects(makeMissing('/proc/escada-none/store'), refused);
      await assert.rejects(publishFile('/proc/escada-none/store/x', 'y'), refused);
    },
  );
});

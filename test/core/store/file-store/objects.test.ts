import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileStore } from '../../../../core/store/file-store.ts';

async function newStore(): Promise<FileStore> {
  return new FileStore(await mkdtemp(join(tmpdir(), 'escada-store-')));
}

/** What a failing disk or a careless program does to an object. */
async function overwrite(path: string, text: string): Promise<void> {
  await chmod(path, 0o600);
  await writeFile(path, text);
  await chmod(path, 0o444);
}

test('bytes come back, and equal bytes are stored once', async () => {
  const store = await newStore();
  const ref = await store.putBytes(Buffer.from('hello'), 'text/plain');
  assert.deepEqual(await store.putBytes(Buffer.from('hello'), 'text/plain'), ref);
  assert.equal((await store.readBytes(ref)).toString(), 'hello');
  assert.equal(ref.uri, `artifact:sha256:${ref.sha256}`);
  const folders = await readdir(join(store.root, 'objects', 'sha256'));
  assert.equal(folders.length, 1);
});

test('JSON is stored canonically: the order of members does not matter', async () => {
  const store = await newStore();
  assert.deepEqual(
    await store.putJson({ b: 1, a: [{ d: 1, c: 2 }] }),
    await store.putJson({ a: [{ c: 2, d: 1 }], b: 1 }),
  );
});

test('a folder is packed deterministically and comes back', async () => {
  const store = await newStore();
  const folder = await mkdtemp(join(tmpdir(), 'escada-folder-'));
  await mkdir(join(folder, 'sub'));
  await writeFile(join(folder, 'sub', 'b.txt'), 'B');
  await writeFile(join(folder, 'a.txt'), 'A');
  const ref = await store.putFolder(folder);
  assert.deepEqual(await store.putFolder(folder), ref);
  const local = await store.localFolder(ref);
  assert.equal(await readFile(join(local, 'sub', 'b.txt'), 'utf8'), 'B');
  assert.equal(await readFile(join(local, 'a.txt'), 'utf8'), 'A');
});

test('missing and damaged artifacts fail with their codes', async () => {
  const store = await newStore();
  const ref = await store.putBytes(Buffer.from('precious'), 'text/plain');
  const absent = { ...ref, sha256: 'f'.repeat(64), uri: `artifact:sha256:${'f'.repeat(64)}` };
  await assert.rejects(store.localPath(absent), { code: 'ARTIFACT_MISSING' });
  const path = await store.localPath(ref);
  const other = new FileStore(store.root);
  await overwrite(path, 'PRECIOUS');
  await assert.rejects(other.localPath(ref), { code: 'ARTIFACT_DAMAGED' });
  await overwrite(path, 'short');
  await assert.rejects(store.localPath(ref), { code: 'ARTIFACT_DAMAGED' });
});

test('a packed folder that names a path outside is refused', async () => {
  const store = await newStore();
  const inner = await store.putBytes(Buffer.from('x'), 'text/plain');
  const evil = await store.putJson({ entries: [{ path: '../../evil', ref: inner }] });
  await assert.rejects(store.localFolder(evil), { code: 'ARTIFACT_DAMAGED' });
});

test('a damaged object heals when the step that makes it stores it again, also in the process that knew it whole', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'escada-heal-'));
  await writeFile(join(folder, 'file'), 'precious');
  for (const damage of ['PRECIOUS', 'short', '']) {
    const store = await newStore();
    const puts = [
      () => store.putBytes(Buffer.from('precious'), 'text/plain'),
      () => store.putFile(join(folder, 'file'), 'text/plain'),
      () => new FileStore(store.root).putBytes(Buffer.from('precious'), 'text/plain'),
    ];
    for (const put of puts) {
      const ref = await put();
      await overwrite(await store.localPath(ref), damage);
      await assert.rejects(store.localPath(ref), { code: 'ARTIFACT_DAMAGED' });
      assert.equal(await store.has(ref), false);
      await put();
      assert.equal((await store.readBytes(ref)).toString(), 'precious');
      assert.equal(await store.has(ref), true);
    }
  }
});

test('what is stored is private to its owner, and objects are read-only', async () => {
  const store = await newStore();
  const ref = await store.putBytes(Buffer.from('x'), 'text/plain');
  const packed = await mkdtemp(join(tmpdir(), 'escada-folder-'));
  await mkdir(join(packed, 'sub'));
  await writeFile(join(packed, 'sub', 'a'), 'A');
  const local = await store.localFolder(await store.putFolder(packed));
  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  assert.equal(await mode(await store.localPath(ref)), '444');
  for (const name of ['objects', 'objects/sha256', 'objects/incoming', 'folders']) {
    assert.equal(await mode(join(store.root, name)), '700', name);
  }
  assert.deepEqual([await mode(join(local, 'sub')), await mode(join(local, 'sub', 'a'))], ['700', '444']);
});

test('an unpacked folder with a truncated or changed file is made whole again; its objects stay as they were', async () => {
  const store = await newStore();
  const folder = await mkdtemp(join(tmpdir(), 'escada-folder-'));
  await writeFile(join(folder, 'weights'), 'all of them');
  const ref = await store.putFolder(folder);
  const path = join(await store.localFolder(ref), 'weights');
  for (const left of ['all of', 'ALL OF THEM']) {
    // As left by a copy that was cut off, or by a program that wrote a file of its own there.
    await rm(path);
    await writeFile(path, left);
    await store.localFolder(ref);
    assert.equal(await readFile(path, 'utf8'), 'all of them');
    assert.equal(await new FileStore(store.root).has(ref), true);
  }
});

test('a packed folder counts as there only with all of its files', async () => {
  const store = await newStore();
  const folder = await mkdtemp(join(tmpdir(), 'escada-folder-'));
  await writeFile(join(folder, 'a'), 'A');
  const ref = await store.putFolder(folder);
  assert.equal(await store.has(ref), true);
  const { entries } = (await store.readJson(ref)) as { entries: { ref: { sha256: string } }[] };
  await rm(store.objectPath(entries[0]?.ref.sha256 ?? ''));
  assert.equal(await store.has(ref), false);
});

test('a file that is cut short while it is stored has the digest of what was stored', async () => {
  const store = await newStore();
  const path = join(await mkdtemp(join(tmpdir(), 'escada-folder-')), 'big');
  await writeFile(path, Buffer.alloc(8 << 20, 1));
  const [ref] = await Promise.all([store.putFile(path, 'x/y'), truncate(path, 5 << 20)]);
  assert.equal((await store.readBytes(ref)).byteLength, ref.sizeBytes);
  assert.deepEqual(await readdir(join(store.root, 'objects', 'incoming')), []);
});

test('a store that cannot be written says so with its path, whatever the reason', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'escada-no-store-'));
  await writeFile(join(folder, 'file'), 'in the way');
  await symlink('circle', join(folder, 'circle'));
  for (const name of ['file/store', 'x'.repeat(300), 'circle/store']) {
    const store = new FileStore(join(folder, name));
    const refused = { code: 'PATH_NOT_USABLE', message: new RegExp(name.slice(0, 6)) };
    await assert.rejects(store.putBytes(Buffer.from('x'), 'text/plain'), refused);
    await assert.rejects(store.putFile(join(folder, 'file'), 'text/plain'), refused);
  }
});

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileStore } from '../../../activities/artifacts/file-store.ts';

async function newStore(): Promise<FileStore> {
  return new FileStore(await mkdtemp(join(tmpdir(), 'escada-store-')));
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
  await writeFile(path, 'PRECIOUS');
  await assert.rejects(other.localPath(ref), { code: 'ARTIFACT_DAMAGED' });
  await writeFile(path, 'short');
  await assert.rejects(store.localPath(ref), { code: 'ARTIFACT_DAMAGED' });
});

test('a packed folder that names a path outside is refused', async () => {
  const store = await newStore();
  const inner = await store.putBytes(Buffer.from('x'), 'text/plain');
  const evil = await store.putJson({ entries: [{ path: '../../evil', ref: inner }] });
  await assert.rejects(store.localFolder(evil), { code: 'ARTIFACT_DAMAGED' });
});

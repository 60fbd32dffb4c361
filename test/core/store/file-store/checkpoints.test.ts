import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { FileStore } from '../../../../core/store/file-store.ts';

const KEY = 'a'.repeat(64);
const place = (workflowId: string) => ({ namespace: 'n', workflowId, firstRunId: 'r', nodeId: 'train' });

async function newStore() {
  const store = new FileStore(await mkdtemp(join(tmpdir(), 'escada-checkpoints-')));
  const index = async () => await readdir(join(store.root, 'checkpoints'));
  /** An attempt that has written a complete checkpoint and reported none, as one does that is killed. */
  const attempt = async (workflowId: string) => {
    const scratch = await store.openScratch(place(workflowId), KEY);
    await scratch.checkpoints.restore();
    const checkpoint = join(scratch.checkpoints.folder, 'checkpoint-10');
    await mkdir(checkpoint, { recursive: true });
    await writeFile(join(checkpoint, 'weights'), 'w');
    await writeFile(join(checkpoint, 'manifest.json'), '{}');
    return scratch;
  };
  return { store, index, attempt };
}

suite('checkpoints in a store on disk', () => {
  test('are handed on as links, also when the attempt was killed before it saved them', async () => {
    const { store, attempt } = await newStore();
    const first = await attempt('one');
    const second = await store.openScratch(place('two'), KEY);
    assert.equal(await second.checkpoints.restore(), 1);
    const inode = async (folder: string) => (await stat(join(folder, 'checkpoint-10', 'weights'))).ino;
    assert.equal(await inode(second.checkpoints.folder), await inode(first.checkpoints.folder));
  });

  test('of an attempt that has ended, or is gone with its run, are named no more', async () => {
    const { store, index, attempt } = await newStore();
    const [ended] = [await attempt('ended'), await attempt('gone')];
    assert.equal((await index()).length, 2);
    await ended.finish();
    assert.equal((await index()).length, 1);
    await rm(join(store.root, 'runs'), { recursive: true });
    const nothing = { references: [], openRuns: [], keepRuns: 0, olderThanMs: 0, nowMs: Date.now() };
    await store.clean({ ...nothing, dryRun: true });
    assert.equal((await index()).length, 1);
    await store.clean({ ...nothing, dryRun: false });
    assert.deepEqual(await index(), []);
  });
});

/** What every artifact store does, whatever it keeps its bytes in. A store of a plugin runs the same suite. */
import assert from 'node:assert/strict';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type {
  ArtifactStoreV1,
  CleanOptions,
  RunIds,
  ScratchV1,
} from '../../../plugins/sdk/contracts/artifact-store.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';

/** A place for a store's bytes. */
export interface StorePlace {
  /** Opens the store as another process, or another host, does. */
  open(): ArtifactStoreV1;
  /** What a failing disk or a careless program does to an artifact's bytes; null: they are lost. */
  damage(ref: ArtifactRef, text: string | null): Promise<void>;
}

const DAY_MS = 86_400_000;
const KEY = 'a'.repeat(64);
const runOf = (workflowId: string): RunIds => ({ namespace: 'n', workflowId, firstRunId: `${workflowId}-1` });

async function newFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'escada-conformance-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

/** Writes a complete checkpoint into an attempt's folder, as a trainer does. */
async function writeCheckpoint({ checkpoints }: ScratchV1, step: number, text = 'weights'): Promise<void> {
  const folder = join(checkpoints.folder, `checkpoint-${step}`);
  await mkdir(join(folder, 'optimizer'), { recursive: true });
  await writeFile(join(folder, 'optimizer', 'state'), `${text} ${step}`);
  await writeFile(join(folder, 'manifest.json'), '{}');
}

const exists = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  );

/** Defines the tests of a kind of store. `make` gives a place without a store in it. */
export function storeConformance(kind: string, make: () => Promise<StorePlace>): void {
  const opened = async () => {
    const place = await make();
    return { place, store: place.open() };
  };
  const putText = async (store: ArtifactStoreV1, text: string): Promise<ArtifactRef> =>
    await store.putBytes(Buffer.from(text), 'text/plain');

  suite(`${kind}: objects`, () => {
    test('bytes, JSON and files come back, in every process, and equal ones have one reference', async () => {
      const { place, store } = await opened();
      const other = place.open();
      const ref = await putText(store, 'hello');
      assert.deepEqual(ref, {
        uri: `artifact:sha256:${ref.sha256}`,
        sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
        sizeBytes: 5,
        mediaType: 'text/plain',
      });
      const folder = await newFolder({ 'a.txt': 'hello' });
      assert.deepEqual(await other.putFile(join(folder, 'a.txt'), 'text/plain'), ref);
      assert.equal((await other.readBytes(ref)).toString(), 'hello');
      assert.equal(await readFile(await store.localPath(ref), 'utf8'), 'hello');
      const json = await store.putJson({ b: 1, a: [{ d: 1, c: 2 }] });
      assert.deepEqual(await other.putJson({ a: [{ c: 2, d: 1 }], b: 1 }), json);
      assert.deepEqual(await other.readJson(json), { a: [{ c: 2, d: 1 }], b: 1 });
      await assert.rejects(store.readJson({ ...ref, mediaType: 'application/json' }), {
        code: 'ARTIFACT_DAMAGED',
        message: /it is not JSON/,
      });
      for (const one of [store, other]) await one.close();
    });

    test('a folder is packed the same every time, comes back with its folders, and is there only as a whole', async () => {
      const { place, store } = await opened();
      const folder = await newFolder({ 'sub/b.txt': 'B', 'a.txt': 'A' });
      const ref = await store.putFolder(folder);
      assert.deepEqual(await store.putFolder(folder), ref);
      const other = place.open();
      assert.equal(await other.has(ref), true);
      const local = await other.localFolder(ref);
      assert.equal(await other.localFolder(ref), local);
      assert.equal(await readFile(join(local, 'sub', 'b.txt'), 'utf8'), 'B');
      assert.equal(await readFile(join(local, 'a.txt'), 'utf8'), 'A');
      const { entries } = (await store.readJson(ref)) as { entries: { ref: ArtifactRef }[] };
      await place.damage(entries[0]?.ref as ArtifactRef, null);
      const third = place.open();
      assert.equal(await third.has(ref), false);
      await assert.rejects(third.localFolder(ref), { code: 'ARTIFACT_MISSING' });
      const evil = await store.putJson({ entries: [{ path: '../../evil', ref: await putText(store, 'x') }] });
      await assert.rejects(store.localFolder(evil), { code: 'ARTIFACT_DAMAGED' });
    });

    test('what is missing or damaged says so, and is stored again by the step that makes it', async () => {
      const { place, store } = await opened();
      const ref = await putText(store, 'precious');
      const absent = { ...ref, sha256: 'f'.repeat(64), uri: `artifact:sha256:${'f'.repeat(64)}` };
      await assert.rejects(store.localPath(absent), {
        code: 'ARTIFACT_MISSING',
        message: /Start the run again/,
      });
      await assert.rejects(store.localPath({ ...ref, sha256: '../../etc' }), { code: 'ARTIFACT_DAMAGED' });
      assert.deepEqual([await store.has(ref), await store.has(absent)], [true, false]);
      for (const text of ['PRECIOUS', 'short', '', null]) {
        await place.damage(ref, text);
        const other = place.open();
        await assert.rejects(other.localPath(ref), {
          code: text === null ? 'ARTIFACT_MISSING' : 'ARTIFACT_DAMAGED',
        });
        assert.equal(await other.has(ref), false);
        await putText(other, 'precious');
        assert.equal((await place.open().readBytes(ref)).toString(), 'precious');
      }
    });

    test('copies are in folders that the store names', async () => {
      const { store } = await opened();
      const ref = await putText(store, 'x');
      const packed = await store.putFolder(await newFolder({ a: 'A' }));
      const { attemptDir } = await store.openScratch({ ...runOf('w'), nodeId: 's' }, KEY);
      const isIn = (roots: readonly string[], path: string) =>
        roots.some((root) => path.startsWith(`${root}/`));
      for (const path of [await store.localPath(ref), await store.localFolder(packed)]) {
        assert.ok(isIn(store.readableRoots, path), path);
        assert.ok(isIn(store.localRoots, path), path);
      }
      assert.ok(isIn(store.localRoots, attemptDir));
      assert.ok(!isIn(store.readableRoots, attemptDir), 'a sandboxed reader sees no other step');
      await store.close();
    });
  });

  suite(`${kind}: actions and identity`, () => {
    test('a finished action is found by its key, by every process; another one takes its place', async () => {
      const { place, store } = await opened();
      const action = { key: KEY, kind: 'k@1', output: { rows: 3 }, seconds: 1.5 };
      assert.equal(await store.getAction(KEY), null);
      await store.putAction(action);
      assert.deepEqual(await place.open().getAction(KEY), action);
      await place.open().putAction({ ...action, output: { rows: 4 } });
      assert.deepEqual((await store.getAction(KEY))?.output, { rows: 4 });
      assert.equal(await store.getAction('b'.repeat(64)), null);
    });

    test('an id is made once, also when several ask at once, and differs between stores', async () => {
      const { place, store } = await opened();
      const ids = await Promise.all(
        [store, place.open(), place.open()].map(async (one) => await one.storeId()),
      );
      assert.equal(new Set(ids).size, 1);
      assert.match(ids[0] ?? '', /^[0-9a-f]{12}$/);
      assert.notEqual(await (await opened()).store.storeId(), ids[0]);
    });

    test('usage grows with what is stored', async () => {
      const { store } = await opened();
      const before = await store.usage();
      await store.putBytes(Buffer.alloc(5000, 1), 'x/y');
      assert.ok((await store.usage()) >= before + 5000);
    });
  });

  suite(`${kind}: scratch and checkpoints`, () => {
    const step = (workflowId: string, nodeId = 'train') => ({ ...runOf(workflowId), nodeId });

    test('attempts have folders of their own, whatever the ids, also when they begin at once', async () => {
      const { place, store } = await opened();
      const ids = ['a/b', 'a_b', '数据', '..', 'x'.repeat(300), ''];
      const all = await Promise.all([
        ...ids.map(async (id) => await store.openScratch(step('w', id), KEY)),
        ...ids.map(async (id) => await store.openScratch(step(id), KEY)),
        ...[store, place.open(), place.open()].map(async (one) => await one.openScratch(step('race'), KEY)),
      ]);
      assert.equal(new Set(all.map(({ attemptDir }) => attemptDir)).size, all.length);
      for (const { attemptDir } of all) assert.deepEqual(await readdir(attemptDir), []);
    });

    test('an attempt continues from the checkpoints of the one before, on whatever host that was', async () => {
      const { place, store } = await opened();
      const first = await store.openScratch(step('w'), KEY);
      assert.equal(await first.checkpoints.restore(), 0);
      for (const at of [10, 20]) {
        await writeCheckpoint(first, at);
        await first.checkpoints.save(at);
      }
      await mkdir(join(first.checkpoints.folder, 'checkpoint-30'));
      const second = await place.open().openScratch(step('w'), KEY);
      assert.deepEqual(await second.checkpoints.earlierSteps(), [20]);
      assert.equal(await second.checkpoints.restore(), 2);
      const { folder } = second.checkpoints;
      assert.deepEqual((await readdir(folder)).sort(), ['checkpoint-10', 'checkpoint-20']);
      assert.equal(await readFile(join(folder, 'checkpoint-20', 'optimizer', 'state'), 'utf8'), 'weights 20');
      assert.ok(await exists(join(folder, 'checkpoint-20', 'manifest.json')));
      assert.notEqual(folder, first.checkpoints.folder);
      await writeCheckpoint(second, 40);
      await second.checkpoints.save(40);
      const third = await store.openScratch(step('w'), KEY);
      assert.deepEqual(await third.checkpoints.earlierSteps(), [40, 20]);
      await third.checkpoints.restore();
      assert.ok(await exists(join(third.checkpoints.folder, 'checkpoint-40', 'manifest.json')));
    });

    test('another run continues from the furthest checkpoint of an equal action, and counts its own attempts', async () => {
      const { place, store } = await opened();
      for (const [run, key, at] of [
        ['slow', KEY, 10],
        ['far', KEY, 90],
        ['other', 'b'.repeat(64), 500],
      ] as const) {
        const scratch = await store.openScratch(step(run), key);
        await scratch.checkpoints.restore();
        await rm(scratch.checkpoints.folder, { recursive: true, force: true });
        await writeCheckpoint(scratch, at, run);
        await scratch.checkpoints.save(at);
      }
      const mine = await place.open().openScratch(step('mine', 'tune'), KEY);
      assert.deepEqual(await mine.checkpoints.earlierSteps(), []);
      assert.equal(await mine.checkpoints.restore(), 1);
      const state = join(mine.checkpoints.folder, 'checkpoint-90', 'optimizer', 'state');
      assert.equal(await readFile(state, 'utf8'), 'far 90');
    });

    test('a checkpoint that its trainer removes while it is saved is not kept by halves', async () => {
      const { store } = await opened();
      const first = await store.openScratch(step('w'), KEY);
      await first.checkpoints.restore();
      await writeCheckpoint(first, 10);
      await first.checkpoints.save(10);
      await writeCheckpoint(first, 20);
      await rm(join(first.checkpoints.folder, 'checkpoint-20', 'manifest.json'));
      await first.checkpoints.save(20);
      await first.checkpoints.save(30);
      const second = await store.openScratch(step('w'), KEY);
      assert.deepEqual(await second.checkpoints.earlierSteps(), [10]);
      assert.equal(await second.checkpoints.restore(), 1);
    });

    test('success removes what this attempt and earlier ones left, and nothing of a later one', async () => {
      const { store } = await opened();
      const [first, second, third] = [
        await store.openScratch(step('w'), KEY),
        await store.openScratch(step('w'), KEY),
        await store.openScratch(step('w'), KEY),
      ];
      for (const [index, one] of [first, second, third].entries()) {
        await one.checkpoints.restore();
        await rm(one.checkpoints.folder, { recursive: true, force: true });
        await writeCheckpoint(one, 10 * (index + 1));
        await one.checkpoints.save(10 * (index + 1));
      }
      await second.finish();
      const left = await Promise.all(
        [first, second, third].map(async ({ attemptDir }) => await exists(attemptDir)),
      );
      assert.deepEqual(left, [false, false, true]);
      const next = await store.openScratch(step('w'), KEY);
      assert.equal(await next.checkpoints.restore(), 1);
      assert.deepEqual(await readdir(next.checkpoints.folder), ['checkpoint-30']);
      await next.finish();
      const fresh = await store.openScratch(step('w'), KEY);
      assert.equal(await fresh.checkpoints.restore(), 0);
      assert.notEqual(fresh.attemptDir, next.attemptDir, 'no token is given twice');
    });
  });

  suite(`${kind}: cleaning`, () => {
    const cleaner =
      (store: ArtifactStoreV1) =>
      async (options: Partial<CleanOptions> = {}) =>
        await store.clean({
          keepRuns: 0,
          olderThanMs: 30 * DAY_MS,
          dryRun: false,
          references: [],
          openRuns: [],
          nowMs: Date.now() + 40 * DAY_MS,
          ...options,
        });
    const there = async (store: ArtifactStoreV1, refs: readonly ArtifactRef[]) =>
      await Promise.all(refs.map(async (ref) => await store.has(ref)));

    test('old runs go with all that only they refer to: objects, actions, checkpoints', async () => {
      const { store } = await opened();
      const clean = cleaner(store);
      const inner = await putText(store, 'inner');
      const list = await store.putJson({ inner });
      await store.putAction({ key: KEY, kind: 'k@1', output: { list }, seconds: 1 });
      await store.noteUse(runOf('old'), { activity: ['old'], action: KEY, references: [list] });
      const scratch = await store.openScratch({ ...runOf('old'), nodeId: 'train' }, KEY);
      await scratch.checkpoints.restore();
      await writeCheckpoint(scratch, 10);
      await scratch.checkpoints.save(10);
      const dry = await clean({ dryRun: true });
      assert.deepEqual(await there(store, [inner, list]), [true, true]);
      const again = await clean({ dryRun: true });
      assert.deepEqual([dry.runs.count, dry.actions.count], [again.runs.count, again.actions.count]);
      const result = await clean();
      assert.deepEqual([result.runs.count, result.actions.count, result.keptRuns], [1, 1, 0]);
      assert.ok(result.objects.count >= 2 && result.objects.sizeBytes > 0);
      assert.deepEqual(await there(store, [inner, list]), [false, false]);
      assert.equal(await store.getAction(KEY), null);
      const next = await store.openScratch({ ...runOf('new'), nodeId: 'train' }, KEY);
      assert.equal(await next.checkpoints.restore(), 0);
    });

    test('kept runs keep what they refer to, through lists, folders, actions and checkpoints', async () => {
      const { place, store } = await opened();
      const adapter = await store.putFolder(await newFolder({ weights: 'w' }));
      const plan = await store.putJson({ input: await putText(store, 'rows') });
      const result = await putText(store, 'result');
      const loose = await putText(store, 'nobody refers to it');
      const report = await putText(store, 'in a report');
      await store.putAction({ key: KEY, kind: 'k@1', output: { result }, seconds: 1 });
      await store.noteUse(runOf('new'), { activity: ['1'], action: KEY, references: [adapter, plan] });
      const scratch = await store.openScratch({ ...runOf('new'), nodeId: 'train' }, KEY);
      await scratch.checkpoints.restore();
      await writeCheckpoint(scratch, 10);
      await scratch.checkpoints.save(10);
      const done = await cleaner(store)({ keepRuns: 1, references: [report] });
      assert.deepEqual(
        [done.runs.count, done.actions.count, done.objects.count, done.keptRuns],
        [0, 0, 1, 1],
      );
      const all = [adapter, plan, result, report, loose];
      assert.deepEqual(await there(store, all), [true, true, true, true, false]);
      const next = await place.open().openScratch({ ...runOf('later'), nodeId: 'train' }, KEY);
      assert.equal(await next.checkpoints.restore(), 1);
    });

    test('open runs stay with what their histories refer to', async () => {
      const { store } = await opened();
      const [noted, inHistory, other] = [
        await putText(store, 'noted'),
        await putText(store, 'history'),
        await putText(store, 'other'),
      ];
      await store.noteUse(runOf('open'), { activity: ['1'], references: [noted] });
      await store.noteUse(runOf('closed'), { activity: ['1'], references: [other] });
      const openRuns = [{ run: runOf('open'), references: [inHistory] }];
      const result = await cleaner(store)({ openRuns, olderThanMs: 0 });
      assert.deepEqual([result.runs.count, result.keptRuns], [1, 1]);
      assert.deepEqual(await there(store, [noted, inHistory, other]), [true, true, false]);
    });

    test('without a server, a hold keeps its run and what anybody used since it began, however the clock jumps', async () => {
      const { place, store } = await opened();
      const clean = cleaner(place.open());
      await store.noteUse(runOf('at-work'), { activity: ['1'], references: [] });
      const far = { openRuns: null, nowMs: Date.now() + 3650 * DAY_MS };
      await store.withHold(runOf('at-work'), async () => {
        const made = await putText(store, 'made a moment ago');
        const result = await clean(far);
        assert.deepEqual([result.runs.count, result.objects.count, result.keptRuns], [0, 0, 1]);
        assert.equal(await store.has(made), true);
      });
      await assert.rejects(
        store.withHold(runOf('failed'), async () => await Promise.reject(new Error('the work failed'))),
        /the work failed/,
      );
      const result = await clean(far);
      assert.deepEqual([result.runs.count, result.objects.count], [1, 1]);
    });

    test('what was used lately stays', async () => {
      const { store } = await opened();
      const ref = await putText(store, 'x');
      const now = { nowMs: Date.now(), olderThanMs: 0 };
      assert.equal((await cleaner(store)(now)).objects.count, 0);
      const scratch = await store.openScratch({ ...runOf('w'), nodeId: 's' }, KEY);
      await store.sweep();
      assert.equal(await store.has(ref), true);
      assert.equal(await exists(scratch.attemptDir), true);
      await store.close();
    });
  });
}

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { promisify } from 'node:util';
import { cleanHome, logFiles, type OpenRun } from '../../../core/store/clean-home.ts';
import { FileStore } from '../../../core/store/file-store.ts';
import { liveHolds } from '../../../core/store/file-store/holds.ts';
import { runName } from '../../../core/store/file-store/run-folder.ts';
import { sweepLooseRows } from '../../../plugins/sdk/store/leftovers.ts';
import { uniqueReferences } from '../../../plugins/sdk/store/references.ts';
import { ownedName } from '../../../plugins/sdk/owner.ts';
import { LOOSE_ROWS_PREFIX } from '../../../plugins/sdk/rows-folder.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';

const DAY_MS = 86_400_000;
const LATER_MS = Date.now() + 40 * DAY_MS;

/** A home with a store, and runs in it that refer to artifacts. */
async function newHome() {
  const home = await mkdtemp(join(tmpdir(), 'escada-home-'));
  const store = new FileStore(join(home, 'store'));
  const idsOf = (name: string) => ({ namespace: 'default', workflowId: name, firstRunId: `${name}-1` });
  const text = async (value: string): Promise<ArtifactRef> =>
    await store.putBytes(Buffer.from(value), 'text/plain');
  /** A run with a failed attempt, which took and gave these artifacts. */
  const run = async (name: string, values: unknown, action?: string) => {
    const { attemptDir } = await store.openScratch({ ...idsOf(name), nodeId: 'train' }, 'a'.repeat(64));
    await writeFile(join(attemptDir, 'checkpoint'), name);
    await store.noteUse(idsOf(name), {
      activity: [name, 'train'],
      references: uniqueReferences(values),
      ...(action === undefined ? {} : { action }),
    });
    return join(store.root, 'runs', runName(idsOf(name)));
  };
  const clean = async (options: Partial<Parameters<typeof cleanHome>[0]> = {}) =>
    await cleanHome({
      home,
      store,
      keepRuns: 0,
      olderThanMs: 30 * DAY_MS,
      dryRun: false,
      openRuns: [],
      nowMs: LATER_MS,
      ...options,
    });
  const runs = async () => (await readdir(join(store.root, 'runs'))).sort();
  return { home, store, idsOf, text, run, clean, runs };
}

/** Makes a file or folder look as if nobody had used it for long. */
async function age(path: string, days: number): Promise<void> {
  const then = new Date(Date.now() - days * DAY_MS);
  await utimes(path, then, then);
}

/** The same for all that is in a run's folder. */
async function ageRun(folder: string, days: number): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) await age(join(folder, name), days);
  await age(folder, days);
}

suite('cleaning', () => {
  test('removes old runs with all that only they refer to', async () => {
    const { store, text, run, clean } = await newHome();
    const inner = await text('inner');
    const list = await store.putJson({ inner });
    await run('old', { list });
    const loose = await text('of a run that never began');
    const result = await clean();
    assert.deepEqual([result.runs.count, result.objects.count, result.keptRuns], [1, 3, 0]);
    assert.ok(result.objects.sizeBytes > 0 && result.runs.sizeBytes > 0);
    for (const ref of [inner, list, loose]) assert.equal(await store.has(ref), false);
    assert.deepEqual(await readdir(join(store.root, 'trash')), []);
  });

  test('keeps the newest runs, what they refer to through lists and folders, and results that they used', async () => {
    const { home, store, text, run, clean, runs, idsOf } = await newHome();
    const packed = join(home, 'packed');
    await mkdir(packed);
    await writeFile(join(packed, 'weights'), 'weights');
    const adapter = await store.putFolder(packed);
    await store.localFolder(adapter);
    const plan = await store.putJson({ input: await text('rows') });
    const result = await text('result');
    const key = 'a'.repeat(64);
    await store.putAction({ kind: 'k@1', key, output: { result }, seconds: 1 });
    const old = await run('old', {});
    await ageRun(old, 1);
    await run('new', { adapter, plan }, key);
    const done = await clean({ keepRuns: 1 });
    assert.deepEqual(await runs(), [runName(idsOf('new'))]);
    assert.deepEqual([done.actions.count, done.objects.count, done.folders.count], [0, 0, 0]);
    for (const ref of [adapter, plan, result]) assert.equal(await store.has(ref), true);
  });

  test('never touches an open run, nor what its history refers to', async () => {
    const { store, text, run, clean, idsOf } = await newHome();
    const [noted, inHistory, other] = [
      await text('noted'),
      await text('in its history'),
      await text('other'),
    ];
    await run('open', { noted });
    await run('closed', { other });
    const openRuns: OpenRun[] = [
      { ...idsOf('open'), values: [{ spec: { source: { artifact: inHistory } } }] },
    ];
    const result = await clean({ openRuns, olderThanMs: 0 });
    assert.deepEqual([result.runs.count, result.keptRuns], [1, 1]);
    assert.deepEqual(await Promise.all([noted, inHistory, other].map((ref) => store.has(ref))), [
      true,
      true,
      false,
    ]);
  });

  test('without a server, what a living process works on is kept, however the clock jumps', async () => {
    const { store, text, run, clean, runs, idsOf } = await newHome();
    await run('at-work', {});
    await ageRun(await run('left', {}), 1);
    await store.withHold(idsOf('at-work'), async () => {
      const found = await text('made a moment ago');
      const result = await clean({ openRuns: null, nowMs: Date.now() + 3650 * DAY_MS });
      assert.deepEqual([result.runs.count, result.objects.count, result.keptRuns], [1, 0, 1]);
      assert.deepEqual(await runs(), [runName(idsOf('at-work'))]);
      assert.equal(await store.has(found), true);
    });
    assert.equal((await clean({ openRuns: null })).runs.count, 1);
  });

  test('what was used lately stays, and finding a thing again is a use', async () => {
    const { store, text, clean } = await newHome();
    const ref = await text('found again');
    const path = await store.localPath(ref);
    await age(path, 100);
    assert.equal((await clean({ nowMs: Date.now(), dryRun: true })).objects.count, 1);
    await text('found again');
    assert.equal((await clean({ nowMs: Date.now(), olderThanMs: 0 })).objects.count, 0);
    assert.ok(Date.now() - (await stat(path)).mtimeMs > 99 * DAY_MS, 'the time of the change stays');
  });

  test('a dry run says the same and removes nothing', async () => {
    const { home, text, run, clean, runs } = await newHome();
    await run('old', { x: await text('x') });
    await mkdir(join(home, 'reports'));
    await writeFile(join(home, 'reports', 'old.json'), '{}');
    const dry = await clean({ dryRun: true });
    assert.equal((await runs()).length, 1);
    assert.deepEqual(await clean(), { ...dry, leftovers: 0 });
    assert.deepEqual(await runs(), []);
  });

  test('several may clean at once, as workers that start together do', async () => {
    const { text, run, clean, runs } = await newHome();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await run(name, { x: await text(name) });
    const done = await Promise.all([clean(), clean(), clean()]);
    assert.deepEqual(await runs(), []);
    assert.equal(
      done.reduce((sum, { runs: { count } }) => sum + count, 0),
      6,
    );
  });

  test('old reports and logs go, kept reports keep what they refer to', async () => {
    const { home, store, text, clean } = await newHome();
    const [kept, gone] = [await text('kept'), await text('gone')];
    const reports = join(home, 'reports');
    await mkdir(reports);
    for (const [name, ref] of [
      ['kept', kept],
      ['gone', gone],
    ] as const) {
      await writeFile(join(reports, `${name}.json`), JSON.stringify({ ref }));
      await writeFile(join(reports, `${name}.html`), '<html>');
    }
    for (const name of ['gone.json', 'gone.html']) await age(join(reports, name), 1);
    const { pid = 0 } = spawnSync('true');
    const logs = [
      ...[`worker-${process.pid}.log`, `worker-${pid}.log`, `worker-${pid}.log.1`].map(
        (name) => `logs/${name}`,
      ),
      ...['server.log', 'server.log.1'].map((name) => `temporal.db.server/${name}`),
    ];
    for (const folder of ['logs', 'temporal.db.server']) await mkdir(join(home, folder));
    for (const name of [...logs, 'notes.txt']) await writeFile(join(home, name), name);
    assert.equal((await logFiles(home)).length, logs.length);
    const result = await clean({ keepRuns: 1 });
    assert.deepEqual([result.reports.count, result.logs.count, result.objects.count], [2, 3, 1]);
    assert.deepEqual(await readdir(join(home, 'logs')), [`worker-${process.pid}.log`]);
    assert.deepEqual(await readdir(join(home, 'temporal.db.server')), ['server.log']);
    assert.deepEqual((await readdir(reports)).sort(), ['kept.html', 'kept.json']);
    assert.deepEqual((await readdir(home)).sort(), [
      'logs',
      'notes.txt',
      'reports',
      'store',
      'temporal.db.server',
    ]);
    assert.equal(await store.has(kept), true);
  });
});

/** Begins everything that a killed worker leaves behind, and ends without tidying up. */
const LEAVE = `
  import { mkdirSync, writeFileSync } from 'node:fs';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import { ownedName } from './plugins/sdk/owner.ts';
  import { FileStore } from './core/store/file-store.ts';
  const root = process.argv[1];
  const store = new FileStore(root);
  await store.putBytes(Buffer.from('x'), 'x/y');
  const place = { namespace: 'n', workflowId: 'w', firstRunId: 'r', nodeId: 'step' };
  const { attemptDir } = await store.openScratch(place, 'a'.repeat(64));
  mkdirSync(join(attemptDir, 'out'));
  writeFileSync(join(attemptDir, 'out', 'checkpoint'), 'kept');
  for (const name of [ownedName('rows-'), 'spill']) mkdirSync(join(attemptDir, name));
  mkdirSync(join(tmpdir(), ownedName('escada-rows-')));
  for (const folder of ['trash', 'objects/incoming']) mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(join(root, 'trash', ownedName('')));
  writeFileSync(join(root, 'objects', 'incoming', ownedName('')), 'half');
  mkdirSync(join(root, 'actions'));
  writeFileSync(join(root, 'actions', ownedName('.tmp-')), 'half');
  void store.withHold(place, () => new Promise(() => undefined));
  setTimeout(() => { console.log(attemptDir); process.kill(process.pid, 'SIGKILL'); }, 200);
`;

test('leftovers of another user in the common temporary folder are left alone', async () => {
  const { pid = 0 } = spawnSync('true');
  const [ours, theirs] = [1, 2].map((one) =>
    join(tmpdir(), ownedName(`${LOOSE_ROWS_PREFIX}${one}-`).replace(`-${process.pid}-`, `-${pid}-`)),
  ) as [string, string];
  for (const folder of [ours, theirs]) await mkdir(folder);
  // Only root may give a folder away; for others both are their own.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(theirs, 1, 1);
  await sweepLooseRows();
  assert.deepEqual([existsSync(ours), existsSync(theirs)], [false, isRoot]);
  await rm(theirs, { recursive: true, force: true });
});

test('leftovers of a killed process are swept, its checkpoints and what the living have are not', async () => {
  const root = join(await mkdtemp(join(tmpdir(), 'escada-sweep-')), 'store');
  const node = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', LEAVE, root];
  const killed = await promisify(execFile)(process.execPath, node).then(
    () => assert.fail('it should have been killed'),
    (error: unknown) => error as { stdout: string; signal: string },
  );
  assert.equal(killed.signal, 'SIGKILL');
  const attemptDir = killed.stdout.trim();
  assert.equal((await liveHolds(root, Date.now())).runs.size, 0);
  const store = new FileStore(root);
  const run = { namespace: 'n', workflowId: 'w', firstRunId: 'r' };
  const mine = await store.openScratch({ ...run, nodeId: 'step' }, 'a'.repeat(64));
  await mkdir(join(mine.attemptDir, 'spill'));
  await store.withHold(run, async () => {
    assert.ok((await store.sweep()) >= 6);
    await sweepLooseRows();
    assert.equal((await readdir(join(root, 'holds'))).length, 1);
  });
  assert.deepEqual(await readdir(attemptDir), ['out']);
  assert.deepEqual(await readdir(mine.attemptDir), ['spill']);
  assert.deepEqual(await readdir(join(root, 'objects', 'incoming')), []);
  for (const name of ['actions', 'trash']) assert.deepEqual(await readdir(join(root, name)), []);
  const loose = (await readdir(tmpdir())).filter((name) => name.startsWith(LOOSE_ROWS_PREFIX));
  assert.equal((await store.sweep()) + (await sweepLooseRows()), 0, loose.join());
});

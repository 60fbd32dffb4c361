/** Removes what no kept run needs: mark from runs, actions and reports, then sweep what was not used for long enough. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { CleanOptions, CleanResult } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { FOLDER_TYPE } from '../../../plugins/sdk/store/packed-folder.ts';
import { referencesIn } from '../../../plugins/sdk/store/references.ts';
import { MIN_KEEP_MS } from '../../../plugins/sdk/store/retention.ts';
import { cleanCheckpoints } from './checkpoints.ts';
import { liveHolds } from './holds.ts';
import type { FileObjects } from './objects.ts';
import { runName } from './run-folder.ts';
import { Trash } from './trash.ts';
import { readJsonFile, readUses, type UseNote } from './uses.ts';

const list = async (folder: string): Promise<string[]> => await readdir(folder).catch(() => []);

/** Runs beside workers: what one of them uses meanwhile stays. */
export async function cleanStore(store: FileObjects, options: CleanOptions): Promise<CleanResult> {
  const { root } = store;
  const holds = await liveHolds(root, options.nowMs);
  const ageMs = Math.max(MIN_KEEP_MS, options.olderThanMs);
  // Whoever is at work may need all it found since its start, however far the clock has jumped since.
  const limitMs = Math.min(options.nowMs - ageMs, holds.sinceMs);
  const trash = new Trash(join(root, 'trash'), limitMs, options.dryRun);
  const { kept, old } = await sortRuns(root, { ...options, limitMs, busy: holds.runs });
  const runs = await trash.removeAll(
    old.map((name) => join(root, 'runs', name)),
    'runs',
  );
  if (!options.dryRun) await cleanCheckpoints(root);
  const notes = (
    await Promise.all(kept.map(async (name) => await readUses(join(root, 'runs', name))))
  ).flat();
  const actions = await cleanActions(root, notes, trash);

  const marked = new Marks(store);
  await marked.add([
    ...options.references,
    ...(options.openRuns ?? []).flatMap(({ references }) => references),
    ...notes.flatMap(({ references }) => references),
  ]);
  for (const name of await list(join(root, 'actions'))) {
    const path = join(root, 'actions', name);
    if (!trash.removed.has(path)) await marked.add(referencesIn(await readJsonFile(path)));
  }
  const folders = await pathsIn(join(root, 'folders'));
  const shelves = await pathsIn(join(root, 'objects', 'sha256'));
  const objects = (await Promise.all(shelves.map(pathsIn))).flat();
  return {
    runs,
    actions,
    folders: await trash.removeAll(marked.others(folders), 'files'),
    objects: await trash.removeAll(marked.others(objects), 'files'),
    keptRuns: kept.length,
  };
}

const pathsIn = async (folder: string): Promise<string[]> =>
  (await list(folder)).map((name) => join(folder, name));

/** Finished actions that no kept run has used. */
async function cleanActions(root: string, notes: readonly UseNote[], trash: Trash) {
  const needed = new Set(notes.flatMap(({ action }) => (action === null ? [] : `${action}.json`)));
  const names = (await list(join(root, 'actions'))).filter((name) => name.endsWith('.json'));
  const idle = names.filter((name) => !needed.has(name));
  return await trash.removeAll(
    idle.map((name) => join(root, 'actions', name)),
    'files',
  );
}

interface RunChoice extends CleanOptions {
  readonly limitMs: number;
  readonly busy: ReadonlySet<string>;
}

/** A run is kept when it is open, at work, among the newest ones, or was used lately. */
async function sortRuns(
  root: string,
  { openRuns, busy, keepRuns, limitMs }: RunChoice,
): Promise<{ readonly kept: string[]; readonly old: string[] }> {
  const folder = join(root, 'runs');
  const open = new Set((openRuns ?? []).map(({ run }) => runName(run)));
  const ages: { name: string; usedMs: number }[] = [];
  for (const name of await list(folder)) ages.push({ name, usedMs: await newestMs(join(folder, name)) });
  const closed = ages
    .filter(({ name }) => !open.has(name) && !busy.has(name))
    .sort((a, b) => b.usedMs - a.usedMs);
  const old = closed
    .slice(keepRuns)
    .filter(({ usedMs }) => usedMs < limitMs)
    .map(({ name }) => name);
  const gone = new Set(old);
  return { kept: ages.map(({ name }) => name).filter((name) => !gone.has(name)), old };
}

/** The newest time in a run's folder, down to its attempts and notes. */
async function newestMs(folder: string): Promise<number> {
  const nodes = (await list(join(folder, 'steps'))).map((name) => join('steps', name));
  const places = ['', 'run.json', 'steps', 'references', ...nodes];
  const times = await Promise.all(
    places.map(async (place) => (await stat(join(folder, place)).catch(() => null))?.mtimeMs ?? 0),
  );
  return Math.max(0, ...times);
}

/** Digests that something refers to, lists of folders and JSON artifacts followed. */
class Marks {
  readonly #store: FileObjects;
  readonly #digests = new Set<string>();

  constructor(store: FileObjects) {
    this.#store = store;
  }

  /** Those of the paths whose names are no digest of these. */
  others(paths: readonly string[]): string[] {
    return paths.filter((path) => !this.#digests.has(basename(path)));
  }

  async add(references: readonly ArtifactRef[]): Promise<void> {
    const open = [...references];
    for (let ref = open.pop(); ref !== undefined; ref = open.pop()) {
      if (this.#digests.has(ref.sha256)) continue;
      this.#digests.add(ref.sha256);
      if (ref.mediaType !== FOLDER_TYPE && ref.mediaType !== 'application/json') continue;
      open.push(...referencesIn(await readJsonFile(this.#store.objectPath(ref.sha256))));
    }
  }
}

/** Removes what no kept run needs: mark from runs, actions and reports, then sweep what was not used for long enough. */
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import { ownedName } from '../../plugins/sdk/owner.ts';
import { makeFolder } from '../../plugins/sdk/publish.ts';
import { FOLDER_TYPE, type FileStore } from './file-store.ts';
import { liveHolds } from './holds.ts';
import { lastUseMs } from './last-use.ts';
import { readJsonFile, readNotes, referencesIn } from './references.ts';

/** Whatever the settings are, nothing goes that was used so short a time ago: a run may be about to refer to it. */
export const GRACE_MS = 3_600_000;

/** What a Temporal server knows of the runs that are open. */
export interface OpenRuns {
  /** Names of their folders under `runs/`. */
  readonly folders: ReadonlySet<string>;
  /** Everything that their histories refer to. */
  readonly references: readonly ArtifactRef[];
}

export interface CleanOptions {
  /** How many of the newest runs are kept in any case. */
  readonly keepRuns: number;
  /** What was used since then is kept in any case. */
  readonly olderThanMs: number;
  readonly dryRun: boolean;
  /** Artifacts that something outside of the store refers to, such as reports. */
  readonly references: readonly ArtifactRef[];
  /** Without a server: null. */
  readonly open: OpenRuns | null;
  readonly nowMs: number;
}

export interface Removed {
  readonly count: number;
  readonly sizeBytes: number;
}

export interface CleanResult {
  readonly runs: Removed;
  readonly actions: Removed;
  readonly objects: Removed;
  readonly folders: Removed;
  readonly keptRuns: number;
}

const list = async (folder: string): Promise<string[]> => await readdir(folder).catch(() => []);

/** Runs beside workers: what one of them uses meanwhile stays. */
export async function cleanStore(store: FileStore, options: CleanOptions): Promise<CleanResult> {
  const { root } = store;
  const holds = await liveHolds(root, options.nowMs);
  const ageMs = Math.max(GRACE_MS, options.olderThanMs);
  // Whoever is at work may need all it found since its start, however far the clock has jumped since.
  const limitMs = Math.min(options.nowMs - ageMs, holds.sinceMs);
  const sweep = new Sweep(join(root, 'trash'), limitMs, options.dryRun);
  const { kept, old } = await sortRuns(root, { ...options, limitMs, busy: holds.runs });
  const runs = await sweep.removeAll(
    old.map((name) => join(root, 'runs', name)),
    'runs',
  );

  const notes = (
    await Promise.all(kept.map(async (name) => await readNotes(join(root, 'runs', name))))
  ).flat();
  const needed = new Set(notes.flatMap(({ action }) => action ?? []));
  const actionPaths = (await list(join(root, 'actions'))).filter((name) => name.endsWith('.json'));
  const idle = actionPaths.filter((name) => !needed.has(name.slice(0, -'.json'.length)));
  const actions = await sweep.removeAll(
    idle.map((name) => join(root, 'actions', name)),
    'files',
  );

  const marked = new Marks(store);
  await marked.add([...options.references, ...(options.open?.references ?? [])]);
  for (const note of notes) await marked.add(note.references);
  for (const name of await list(join(root, 'actions'))) {
    const path = join(root, 'actions', name);
    if (!sweep.removed.has(path)) await marked.add(referencesIn(await readJsonFile(path)));
  }
  const objects: string[] = [];
  for (const shelf of await list(join(root, 'objects', 'sha256'))) {
    for (const name of await list(join(root, 'objects', 'sha256', shelf))) {
      if (!marked.has(name)) objects.push(join(root, 'objects', 'sha256', shelf, name));
    }
  }
  const folders = (await list(join(root, 'folders'))).filter((name) => !marked.has(name));
  return {
    runs,
    actions,
    folders: await sweep.removeAll(
      folders.map((name) => join(root, 'folders', name)),
      'files',
    ),
    objects: await sweep.removeAll(objects, 'files'),
    keptRuns: kept.length,
  };
}

interface RunChoice extends CleanOptions {
  readonly limitMs: number;
  readonly busy: ReadonlySet<string>;
}

/** A run is kept when it is open, at work, among the newest ones, or was used lately. */
async function sortRuns(
  root: string,
  { open, busy, keepRuns, limitMs }: RunChoice,
): Promise<{ readonly kept: string[]; readonly old: string[] }> {
  const folder = join(root, 'runs');
  const ages: { name: string; usedMs: number }[] = [];
  for (const name of await list(folder)) ages.push({ name, usedMs: await newestMs(join(folder, name)) });
  const closed = ages
    .filter(({ name }) => open?.folders.has(name) !== true && !busy.has(name))
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
  const places = ['', 'run.json', 'steps', 'results', 'references', ...nodes];
  const times = await Promise.all(
    places.map(async (place) => (await stat(join(folder, place)).catch(() => null))?.mtimeMs ?? 0),
  );
  return Math.max(0, ...times);
}

/** Digests that something refers to, lists of folders and JSON artifacts followed. */
class Marks {
  readonly #store: FileStore;
  readonly #digests = new Set<string>();

  constructor(store: FileStore) {
    this.#store = store;
  }

  has(sha256: string): boolean {
    return this.#digests.has(sha256);
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

class Sweep {
  readonly removed = new Set<string>();
  readonly #counted = new Set<string>();
  readonly #trash: string;
  readonly #limitMs: number;
  readonly #dryRun: boolean;

  constructor(trash: string, limitMs: number, dryRun: boolean) {
    this.#trash = trash;
    this.#limitMs = limitMs;
    this.#dryRun = dryRun;
  }

  /** Of `runs` the age was looked at already. */
  async removeAll(paths: readonly string[], kind: 'runs' | 'files'): Promise<Removed> {
    let [count, sizeBytes] = [0, 0];
    for (const path of paths) {
      const found = await stat(path).catch(() => null);
      if (found === null || (kind === 'files' && lastUseMs(found) >= this.#limitMs)) continue;
      const bytes = await sizeOf(path, this.#counted);
      if (!this.#dryRun && !(await this.#remove(path, kind))) continue;
      this.removed.add(path);
      count += 1;
      sizeBytes += bytes;
    }
    return { count, sizeBytes };
  }

  /** Moved aside first and looked at again: a worker that found it meanwhile has marked it as used, and gets it back. */
  async #remove(path: string, kind: 'runs' | 'files'): Promise<boolean> {
    await makeFolder(this.#trash);
    const aside = join(this.#trash, ownedName(''));
    try {
      await rename(path, aside);
    } catch (error) {
      // Another one that cleans has taken it: workers that start together do.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    const found = await stat(aside);
    if (kind === 'files' && lastUseMs(found) >= this.#limitMs) {
      await rename(aside, path);
      return false;
    }
    await rm(aside, { recursive: true, force: true });
    return true;
  }
}

/** Bytes of a file, or of all files in a folder. A file with several names counts once, as it does on the disk. */
export async function sizeOf(path: string, seen = new Set<string>()): Promise<number> {
  const root = await stat(path).catch(() => null);
  if (root === null) return 0;
  const entries = root.isDirectory()
    ? await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
    : [];
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  let sizeBytes = 0;
  for (const one of root.isDirectory() ? paths : [path]) {
    const found = await stat(one).catch(() => null);
    if (found === null || seen.has(`${found.dev} ${found.ino}`)) continue;
    seen.add(`${found.dev} ${found.ino}`);
    sizeBytes += found.size;
  }
  return sizeBytes;
}

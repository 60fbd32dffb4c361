// A pull ends with a folder that is complete and checked, or with none: files grow in a hidden folder beside it, which
// stays when a pull breaks off and is where the next one resumes.
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { modelsFolder } from '../../plugins/sdk/model-folder/model-path.ts';
import { syncToDisk } from '../bootstrap/sync.mjs';
import { HubClient, type HubClientOptions } from './client.ts';
import { fetchAll } from './fetch-all.ts';
import { diskFailure } from './failures.ts';
import { listFolder, resolveCommit } from './listing.ts';
import {
  readManifest,
  verifyFiles,
  writeManifest,
  type FileRecord,
  type Manifest,
} from '../../plugins/sdk/model-folder/manifest.ts';
import { COMMIT } from '../../plugins/sdk/model-folder/manifest.ts';
import { modelIdOf, type HubTarget } from './repository.ts';
import { hubSettings } from './settings.ts';

export interface PullOptions extends Omit<HubClientOptions, 'settings'> {
  /** Folder for the model; default: a folder of its id among the fetched models. */
  readonly out?: string | undefined;
  /** `HF_ENDPOINT`, `HF_TOKEN` and where the fetched models lie. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs an action while no other process runs one under the same lock file. */
  readonly exclusively: <T>(lockFile: string, action: () => Promise<T>) => Promise<T>;
}

export interface PulledModel {
  /** What a spec names: an id among the fetched models, or an absolute path. */
  readonly id: string;
  /** The folder, or the GGUF file in it. */
  readonly path: string;
  readonly manifest: Manifest;
  /** Bytes that came over the network for files; 0 when everything was there. */
  readonly receivedBytes: number;
}

interface Place {
  readonly id: string;
  readonly folder: string;
  /** Where files grow. */
  readonly growing: string;
}

/**
 * Brings a model from the hub, pinned to the commit that the revision names now, every file checked against the
 * hub's digest. What an earlier pull left is used; a complete model is only verified, without a network if the
 * revision is a commit. Throws `HUB_*`, `DISK_FULL` and `OUTPUT_NOT_WRITABLE`.
 */
export async function pullModel(target: HubTarget, options: PullOptions): Promise<PulledModel> {
  const client = new HubClient({ ...options, settings: hubSettings(options.env) });
  for (const text of client.settings.notes) options.report({ kind: 'note', text });
  const { revision } = target;
  const commit = COMMIT.test(revision) ? revision : await resolveCommit(client, target);
  const place = placeOf(target, commit, options);
  return await asWriteFailure(place.folder, async () => {
    await mkdir(dirname(place.folder), { recursive: true });
    const lock = join(dirname(place.folder), `.${basename(place.folder)}.lock`);
    return await options.exclusively(lock, () => complete({ client, target, commit, place }));
  });
}

function placeOf(target: HubTarget, commit: string, { out, env }: PullOptions): Place {
  const name = modelIdOf(target, commit);
  const folder = out === undefined ? join(modelsFolder(env), name) : resolve(out);
  // The commit is in the name, so that parts of two commits never meet in one folder.
  const growing = join(dirname(folder), `.${basename(folder)}.${commit.slice(0, 12)}.partial`);
  const id = out === undefined ? name : target.file === null ? folder : join(folder, basename(target.file));
  return { id, folder, growing };
}

interface Pull {
  readonly client: HubClient;
  readonly target: HubTarget;
  readonly commit: string;
  readonly place: Place;
}

async function complete(pull: Pull): Promise<PulledModel> {
  const { client, target, commit, place } = pull;
  const before = await earlier(pull);
  if (before !== null) client.report({ kind: 'note', text: `Checking what is in ${place.folder}.` });
  const intact = before === null ? [] : await verifyFiles(place.folder, before);
  if (before !== null && intact.length === before.files.length) return pulled(pull, before, 0);
  // A commit was taken at its word so far.
  if (COMMIT.test(target.revision)) await resolveCommit(client, target);
  const inside = target.file?.includes('/') === true ? dirname(target.file) : '';
  const listed = await listFolder(client, target, commit, inside);
  await mkdir(place.growing, { recursive: true });
  const { files, receivedBytes } = await fetchAll({ ...pull, listed, intact, ...place });
  const manifest = manifestOf(pull, [...intact, ...files]);
  await publish(place, manifest, files, before !== null);
  return pulled(pull, manifest, receivedBytes);
}

/** What an earlier pull of the same commit left. Throws `OUTPUT_NOT_WRITABLE` for a folder of something else. */
async function earlier({ target, commit, place: { folder } }: Pull): Promise<Manifest | null> {
  const names = await readdir(folder).catch(noneIfMissing);
  if (names.length === 0) return null;
  const manifest = await readManifest(folder);
  const isOurs = manifest?.repository === target.repository && manifest.revision === commit;
  const hasFile = target.file === null || manifest?.files.some(({ path }) => path === target.file) === true;
  if (manifest !== null && isOurs && hasFile) return manifest;
  const holds = manifest === null ? 'other files' : `${manifest.repository} at ${manifest.revision}`;
  throw new EscadaFailure({
    code: 'OUTPUT_NOT_WRITABLE',
    message: `${folder} holds ${holds}. Choose another folder with --out, or delete it.`,
    fields: { path: folder },
  });
}

function manifestOf({ client, target, commit }: Pull, files: FileRecord[]): Manifest {
  return {
    manifestVersion: 1,
    endpoint: client.settings.endpoint,
    repository: target.repository,
    requestedRevision: target.revision,
    revision: commit,
    files: files.sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

function noneIfMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

/** A new folder appears as a whole; into one that was there, the missing files are moved one by one. */
async function publish(
  place: Place,
  manifest: Manifest,
  fetched: FileRecord[],
  wasThere: boolean,
): Promise<void> {
  const { folder, growing } = place;
  if (wasThere) {
    for (const { name } of fetched) await rename(join(growing, name), join(folder, name));
    await writeManifest(folder, manifest);
    await rm(growing, { recursive: true, force: true });
  } else {
    await removeUnlistedFiles(growing, manifest);
    await writeManifest(growing, manifest);
    await syncToDisk(growing);
    await rmdir(folder).catch(() => undefined);
    await rename(growing, folder);
  }
  await syncToDisk(dirname(folder));
}

/** Nothing but the recorded files becomes part of the model. */
async function removeUnlistedFiles(growing: string, { files }: Manifest): Promise<void> {
  const names = new Set(files.map(({ name }) => name));
  for (const name of await readdir(growing)) {
    if (!names.has(name)) await rm(join(growing, name), { recursive: true, force: true });
  }
}

function pulled({ target, place }: Pull, manifest: Manifest, receivedBytes: number): PulledModel {
  const path = target.file === null ? place.folder : join(place.folder, basename(target.file));
  return { id: place.id, path, manifest, receivedBytes };
}

/** What the file system refuses, in words. */
async function asWriteFailure<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw diskFailure(folder);
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'ENAMETOOLONG'].includes(code ?? ''))
      throw error;
    throw new EscadaFailure({
      code: 'OUTPUT_NOT_WRITABLE',
      message: `The model cannot be written to ${folder}: ${message}.`,
      fields: { path: folder },
      cause: error,
    });
  }
}

import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubClient } from './client.ts';
import { downloadFile, type Download } from './download.ts';
import { diskFailure } from './failures.ts';
import type { ListedFile } from './listing.ts';
import type { FileRecord } from '../../plugins/sdk/model-folder/manifest.ts';
import type { HubTarget } from './repository.ts';
import { selectFiles, selectShards, type WantedFile } from './select.ts';

interface Job {
  readonly client: HubClient;
  readonly target: HubTarget;
  readonly commit: string;
  readonly listed: readonly ListedFile[];
  /** Files of an earlier pull that need not be fetched. */
  readonly intact: readonly FileRecord[];
  readonly folder: string;
  readonly growing: string;
}

interface Fetched {
  readonly files: FileRecord[];
  readonly receivedBytes: number;
}

const FILES_AT_ONCE = 4;
/** Room that a pull leaves to others. */
const SPARE_BYTES = 64 * 2 ** 20;

/** Fetches what the selection asks for and is not intact yet into `growing`. Throws `HUB_*` and `DISK_FULL`. */
export async function fetchAll(job: Job): Promise<Fetched> {
  const { client, target, commit, growing, intact } = job;
  let [doneBytes, totalBytes, receivedBytes] = [0, 0, 0];
  const download: Omit<Download, 'client'> = {
    target,
    commit,
    folder: growing,
    onBytes: (change, received) => {
      doneBytes += change;
      receivedBytes += received;
      client.report({ kind: 'progress', doneBytes, totalBytes, receivedBytes });
    },
  };
  const { files, index } = selectFiles(job.listed, target);
  const isMissing = ({ name }: WantedFile) => !intact.some((one) => one.name === name);
  const early =
    index !== null && isMissing(index) ? await downloadFile(index, { ...download, client }) : null;
  const indexFolder = early === null ? job.folder : growing;
  const shards = index === null ? [] : await selectShards(join(indexFolder, index.name), job.listed);
  const wanted = [...files, ...shards].filter(isMissing);
  totalBytes = doneBytes + sum(wanted.map(({ sizeBytes }) => sizeBytes));
  const leftBytes = Math.max(0, totalBytes - doneBytes - (await partBytes(growing, wanted)));
  const { folder } = job;
  client.report({ kind: 'plan', folder, commit, files: wanted.length, totalBytes, leftBytes });
  await checkRoom(growing, leftBytes);
  const records = await inParallel(wanted, client, (file, own) =>
    downloadFile(file, { ...download, client: own }),
  );
  return { files: early === null ? records : [...records, early], receivedBytes };
}

/** Small files first: what is refused is then refused early. The first failure ends the other downloads. */
async function inParallel(
  wanted: readonly WantedFile[],
  client: HubClient,
  fetchOne: (file: WantedFile, client: HubClient) => Promise<FileRecord>,
): Promise<FileRecord[]> {
  const queue = [...wanted].sort((a, b) => a.sizeBytes - b.sizeBytes);
  const stop = new AbortController();
  const own = client.until(stop.signal);
  const records: FileRecord[] = [];
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      stop.signal.throwIfAborted();
      records.push(await fetchOne(file, own));
      client.report({ kind: 'file', name: file.name, sizeBytes: file.sizeBytes });
    }
  };
  const workers = Array.from({ length: FILES_AT_ONCE }, () =>
    work().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  // All settle before any failure is thrown: nobody writes into the folder after the lock is given back.
  await Promise.allSettled(workers);
  if (stop.signal.aborted) throw stop.signal.reason;
  return records;
}

async function checkRoom(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (neededBytes > 0 && neededBytes + SPARE_BYTES > freeBytes)
    throw diskFailure(folder, { neededBytes, freeBytes });
}

/** Bytes of the wanted files that an earlier attempt left. */
async function partBytes(folder: string, wanted: readonly WantedFile[]): Promise<number> {
  const names = new Set(wanted.flatMap(({ name }) => [name, `${name}.part`]));
  const found = (await readdir(folder)).filter((name) => names.has(name));
  return sum(await Promise.all(found.map(async (name) => (await stat(join(folder, name))).size)));
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

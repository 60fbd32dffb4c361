import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubClient } from './client.ts';
import { answerFailure, damagedFailure, inMegabytes, TransientError } from './failures.ts';
import type { HubAnswer } from './hub-answer.ts';
import type { FileRecord } from '../../plugins/sdk/model-folder/manifest.ts';
import { PartFile } from './part-file.ts';
import { refusal } from './refusals.ts';
import type { HubTarget } from './repository.ts';
import type { WantedFile } from './select.ts';

export interface Download {
  readonly client: HubClient;
  readonly target: HubTarget;
  readonly commit: string;
  /** Folder in which the file grows as `<name>.part` and appears as `<name>` when its digest is right. */
  readonly folder: string;
  /** Called with the change of the number of bytes at hand, and how many of them came over the network just now. */
  readonly onBytes: (change: number, receivedBytes: number) => void;
}

/**
 * Fetches one file, resuming from what an earlier attempt left. Bytes of a wrong digest are dropped and fetched once
 * more. Throws `HUB_*`; what is there stays for the next attempt.
 */
export async function downloadFile(file: WantedFile, job: Download): Promise<FileRecord> {
  const { name, path, sizeBytes, digest } = file;
  const [partPath, finalPath] = [join(job.folder, `${name}.part`), join(job.folder, name)];
  // Whole files of an attempt that did not end are not trusted either.
  await rename(finalPath, partPath).catch(ignoreMissing);
  const part = await PartFile.open(partPath, file);
  try {
    job.onBytes(part.length, 0);
    for (let wrong = 0; wrong < 2; wrong += 1) {
      let furthest = part.length;
      await job.client.retrying(name, (madeProgress) =>
        receive(part, file, job, () => {
          // A server that restarts and breaks off at the same place each time gets nowhere.
          if (part.length > furthest) madeProgress();
          furthest = Math.max(furthest, part.length);
        }),
      );
      const sha256 = part.sha256IfRight();
      if (sha256 !== null) {
        await part.publish(finalPath);
        return { name, path, sizeBytes, sha256 };
      }
      await restart(part, job, null);
    }
    throw damagedFailure(name, `its digest is not the ${digest.hex} of the hub's listing, twice`);
  } finally {
    await part.close();
  }
}

async function receive(part: PartFile, file: WantedFile, job: Download, onChunk: () => void): Promise<void> {
  if (part.isWhole) return;
  const answer = await ask(part, file, job);
  if (answer.status === 200) {
    checkLength(answer, file);
    await restart(part, job, answer.etag);
  }
  for await (const chunk of answer.chunks()) {
    if (part.length + chunk.length > file.sizeBytes) {
      await restart(part, job, null);
      throw damagedFailure(file.name, `more than the ${file.sizeBytes} bytes of the hub's listing came`);
    }
    await part.append(chunk);
    job.onBytes(chunk.length, chunk.length);
    onChunk();
  }
  if (!part.isWhole) throw new TransientError(`the connection ended after ${inMegabytes(part.length)}`);
}

/** The answer whose body comes next: 200 from the start, or 206 that continues where the part ends. */
async function ask(part: PartFile, file: WantedFile, job: Download): Promise<HubAnswer> {
  const { client, target, commit } = job;
  const escaped = file.path.split('/').map(encodeURIComponent).join('/');
  const url = client.url(`${target.repository}/resolve/${commit}/${escaped}`);
  const from = part.length;
  const answer = await client.get(url, from === 0 ? {} : { range: `bytes=${from}-` });
  const { status } = answer;
  const served = answer.isHub ? answer.headers.get('x-repo-commit') : null;
  if (served !== null && served !== commit) {
    answer.drop();
    throw answerFailure(`${file.name} comes from commit ${served}, not ${commit}`);
  }
  if (status === 200 || (status === 206 && canResume(answer, part, file))) return answer;
  answer.drop();
  if (from > 0 && (status === 206 || status === 416)) {
    await restart(part, job, null);
    throw new TransientError('what was fetched earlier is of another content', { retryAfterMs: 0 });
  }
  throw answer.transientError() ?? refusal(answer, target, client.settings, file.path);
}

function canResume(answer: HubAnswer, part: PartFile, file: WantedFile): boolean {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get('content-range') ?? '');
  const isNext = range?.[1] === String(part.length);
  const isWhole = range?.[2] === '*' || range?.[2] === String(file.sizeBytes);
  const isPlain = (answer.headers.get('content-encoding') ?? 'identity') === 'identity';
  return isNext && isWhole && isPlain && isSame(answer.etag, part.etag);
}

/** A server that sends no ETag is trusted for now: the digest decides in the end. */
function isSame(now: string | null, before: string | null): boolean {
  return now === null || before === null || now === before;
}

function checkLength(answer: HubAnswer, { name, sizeBytes }: WantedFile): void {
  const length = answer.headers.get('content-length');
  if (length === null || answer.headers.has('content-encoding') || length === String(sizeBytes)) return;
  answer.drop();
  throw damagedFailure(
    name,
    `${length} bytes are sent where the hub lists ${sizeBytes}; a proxy or a log-in page may be in between`,
  );
}

async function restart(part: PartFile, job: Download, etag: string | null): Promise<void> {
  job.onBytes(-part.length, 0);
  await part.restart(etag);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

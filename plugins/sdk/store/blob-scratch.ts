import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactObjectsV1, ScratchV1, StepPlace } from '../contracts/artifact-store.ts';
import { OWNER } from '../owner.ts';
import { makeMissing, PRIVATE_FOLDER, sha256OfBytes } from '../publish.ts';
import { BlobCheckpoints } from './blob-checkpoints.ts';
import { noteRun } from './blob-runs.ts';
import type { BlobsV1 } from './blobs.ts';

/** What scratch is opened over. */
export interface ScratchParts {
  readonly blobs: BlobsV1;
  readonly objects: ArtifactObjectsV1;
  /** Folder of this process for the files of attempts. */
  readonly folder: string;
}

/** Opens a new attempt; its fencing token grows with every attempt of the step in this run, on whatever host. */
export async function openBlobScratch(
  parts: ScratchParts,
  place: StepPlace,
  key: string,
): Promise<ScratchV1> {
  const { blobs, objects, folder } = parts;
  const node = sha256OfBytes(place.nodeId);
  const run = await noteRun(blobs, place);
  const prefix = `runs/${run}/steps/${node}/`;
  const { token, earlierTokens } = await takeToken(blobs, prefix);
  const attemptDir = join(folder, run, node, `attempt-${token}`);
  await makeMissing(dirname(attemptDir));
  await mkdir(attemptDir, { mode: PRIVATE_FOLDER });
  const checkpoints = new BlobCheckpoints(
    blobs,
    objects,
    { key, run, node, token, earlierTokens },
    attemptDir,
  );
  return {
    attemptDir,
    checkpoints,
    finish: async () => {
      await checkpoints.forget();
      for (const one of [...earlierTokens, token])
        await rm(join(dirname(attemptDir), `attempt-${one}`), { recursive: true, force: true });
      // The newest one stays, so that no token is given twice.
      for (const one of earlierTokens) await blobs.remove(`${prefix}token-${one}`);
    },
  };
}

/** Of two attempts that race for a token, one fails and takes the next. */
async function takeToken(blobs: BlobsV1, prefix: string) {
  for (;;) {
    const names = (await blobs.list(prefix)).map(({ name }) => name);
    const tokens = names.flatMap((name) => /\/token-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
    const earlierTokens = tokens.sort((a, b) => b - a);
    const token = (earlierTokens[0] ?? 0) + 1;
    if (await blobs.write(`${prefix}token-${token}`, Buffer.from(OWNER), { ifAbsent: true }))
      return { token, earlierTokens };
  }
}

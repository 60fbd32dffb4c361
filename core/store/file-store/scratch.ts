/** Scratch folders: one for each attempt of a step, in the folder of its run. */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScratchV1, StepPlace } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { OWNER } from '../../../plugins/sdk/owner.ts';
import { PRIVATE_FILE, PRIVATE_FOLDER, sha256OfBytes } from '../../../plugins/sdk/publish.ts';
import { FileCheckpoints } from './checkpoints.ts';
import { openRunFolder, runName, writeOnce } from './run-folder.ts';

/** Opens a new attempt's folder; the token in its name grows with every attempt of the step in this run. */
export async function openScratch(root: string, place: StepPlace, key: string): Promise<ScratchV1> {
  const node = sha256OfBytes(place.nodeId);
  const nodeDir = join(await openRunFolder(root, place), 'steps', node);
  await mkdir(nodeDir, { recursive: true, mode: PRIVATE_FOLDER });
  await writeOnce(join(nodeDir, 'node.json'), { nodeId: place.nodeId });
  const token = await takeToken(nodeDir);
  const attemptDir = join(nodeDir, `attempt-${token}`);
  await mkdir(attemptDir, { mode: PRIVATE_FOLDER });
  const checkpoints = new FileCheckpoints(root, key, { run: runName(place), node, token });
  return {
    attemptDir,
    checkpoints,
    finish: async () => {
      await checkpoints.forget();
      await removeUpTo(nodeDir, token);
    },
  };
}

/** The file of a token is the claim to it. The newest one stays, so that no token is given twice. */
async function takeToken(nodeDir: string): Promise<number> {
  for (;;) {
    const [newest = 0] = await numbersOf(nodeDir, /^(?:token|attempt)-(\d+)$/);
    const token = newest + 1;
    try {
      // Of two attempts that race for a token, one fails here and takes the next.
      const file = await open(join(nodeDir, `token-${token}`), 'wx', PRIVATE_FILE);
      await file.writeFile(OWNER).finally(() => file.close());
      return token;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

async function removeUpTo(nodeDir: string, token: number): Promise<void> {
  for (const one of await numbersOf(nodeDir, /^attempt-(\d+)$/)) {
    if (one <= token) await rm(join(nodeDir, `attempt-${one}`), { recursive: true, force: true });
  }
  for (const one of await numbersOf(nodeDir, /^token-(\d+)$/)) {
    if (one < token) await rm(join(nodeDir, `token-${one}`), { force: true });
  }
}

/** Numbers in the names of a folder's entries, largest first. */
async function numbersOf(folder: string, pattern: RegExp): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .flatMap((name) => pattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

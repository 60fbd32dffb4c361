import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OWNER } from '../../plugins/sdk/owner.ts';
import {
  makeFolder,
  PRIVATE_FILE,
  PRIVATE_FOLDER,
  publishFile,
  sha256OfBytes,
} from '../../plugins/sdk/publish.ts';

/** Which step of which run. Ids are the user's own: any text of any length. */
export interface StepPlace {
  readonly namespace: string;
  readonly workflowId: string;
  /** First run of a chain of runs that continue as new, so that they share what they made. A run started later has another. */
  readonly firstRunId: string;
  readonly nodeId: string;
}

export interface Scratch {
  /** Folder of this attempt. Its name carries the fencing token: attempts never share a folder. */
  readonly attemptDir: string;
  /** Folders of earlier attempts, newest first. */
  readonly earlierDirs: readonly string[];
  /** Removes this attempt's folder and those of earlier attempts; later ones may be at work. */
  finish(): Promise<void>;
}

/** Folder of a run. Its name is a digest: no two ids share one, and none leads elsewhere. `run.json` in it says whose it is. */
export function runFolder(root: string, place: Omit<StepPlace, 'nodeId'>): string {
  const { namespace, workflowId, firstRunId } = place;
  return join(root, 'runs', sha256OfBytes(JSON.stringify([namespace, workflowId, firstRunId])));
}

/** Makes the folder of a run, with its ids for people and for whoever cleans up. */
export async function openRunFolder(root: string, place: Omit<StepPlace, 'nodeId'>): Promise<string> {
  const { namespace, workflowId, firstRunId } = place;
  const folder = runFolder(root, place);
  await makeFolder(folder);
  await noteOnce(join(folder, 'run.json'), { namespace, workflowId, firstRunId });
  return folder;
}

/** Published result of a step that is not cacheable, for attempts of the same step whose reply was lost. */
export function resultPath(root: string, place: StepPlace, key: string): string {
  return join(runFolder(root, place), 'results', `${sha256OfBytes(place.nodeId)}-${key}.json`);
}

/** Opens a new attempt's folder; the token in its name grows with every attempt of the step in this run. */
export async function openScratch(root: string, place: StepPlace): Promise<Scratch> {
  const nodeDir = join(await openRunFolder(root, place), 'steps', sha256OfBytes(place.nodeId));
  await mkdir(nodeDir, { recursive: true, mode: PRIVATE_FOLDER });
  await noteOnce(join(nodeDir, 'node.json'), { nodeId: place.nodeId });
  const token = await takeToken(nodeDir);
  const attemptDir = join(nodeDir, `attempt-${token}`);
  await mkdir(attemptDir, { mode: PRIVATE_FOLDER });
  const earlier = (await numbersOf(nodeDir, /^attempt-(\d+)$/)).filter((one) => one < token);
  return {
    attemptDir,
    earlierDirs: earlier.map((one) => join(nodeDir, `attempt-${one}`)),
    finish: async () => await removeUpTo(nodeDir, token),
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

async function noteOnce(path: string, ids: object): Promise<void> {
  const text = `${JSON.stringify(ids, null, 2)}\n`;
  const file = await open(path, 'r').catch(() => null);
  const known = file === null ? '' : await file.readFile('utf8').finally(() => file.close());
  if (known !== text) await publishFile(path, text);
}

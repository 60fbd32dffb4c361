/** Folders of runs and steps. Their names are digests: no two ids share one, and none leads elsewhere. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunIds } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { makeFolder, publishFile, sha256OfBytes } from '../../../plugins/sdk/publish.ts';

/** Name of a run's folder under `runs/`. `run.json` in it says whose it is. */
export function runName({ namespace, workflowId, firstRunId }: RunIds): string {
  return sha256OfBytes(JSON.stringify([namespace, workflowId, firstRunId]));
}

/** Makes the folder of a run, with its ids for people and for whoever cleans up. */
export async function openRunFolder(root: string, run: RunIds): Promise<string> {
  const { namespace, workflowId, firstRunId } = run;
  const folder = join(root, 'runs', runName(run));
  await makeFolder(folder);
  await writeOnce(join(folder, 'run.json'), { namespace, workflowId, firstRunId });
  return folder;
}

/** Writes a JSON file unless it is there with this content. */
export async function writeOnce(path: string, value: object): Promise<void> {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  const file = await open(path, 'r').catch(() => null);
  const known = file === null ? '' : await file.readFile('utf8').finally(() => file.close());
  if (known !== text) await publishFile(path, text);
}

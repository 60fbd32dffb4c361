import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256OfBytes } from '../../../plugins/sdk/publish.ts';

/** Folder with the attempts of a step of the only run with this id in a store; a path that does not exist before. */
export async function stepFolder(storeRoot: string, workflowId: string, nodeId: string): Promise<string> {
  const runs = join(storeRoot, 'runs');
  for (const name of await readdir(runs).catch(() => [])) {
    const text = await readFile(join(runs, name, 'run.json'), 'utf8').catch(() => '{}');
    if ((JSON.parse(text) as { workflowId?: string }).workflowId !== workflowId) continue;
    return join(runs, name, 'steps', sha256OfBytes(nodeId));
  }
  return join(runs, 'not-there-yet');
}

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Folder names from ids that may hold slashes. */
function safe(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/g, '_');
}

export interface Scratch {
  readonly nodeDir: string;
  /** Folder of this attempt. Its name carries the fencing token: attempts never share a folder. */
  readonly attemptDir: string;
  /** Folders of earlier attempts, newest first. */
  readonly earlierDirs: readonly string[];
}

/** Opens a new attempt's folder under `runs/<workflow>/<node>/`; the token grows with every attempt. */
export async function openScratch(root: string, workflowId: string, nodeId: string): Promise<Scratch> {
  const nodeDir = join(root, 'runs', safe(workflowId), safe(nodeId));
  await mkdir(nodeDir, { recursive: true });
  for (;;) {
    const tokens = (await readdir(nodeDir))
      .map((name) => /^attempt-(\d+)$/.exec(name)?.[1])
      .filter((token) => token !== undefined)
      .map(Number)
      .sort((a, b) => b - a);
    const attemptDir = join(nodeDir, `attempt-${(tokens[0] ?? 0) + 1}`);
    try {
      // Not recursive: of two attempts that race for a token, one fails here and takes the next.
      await mkdir(attemptDir);
      return { nodeDir, attemptDir, earlierDirs: tokens.map((token) => join(nodeDir, `attempt-${token}`)) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

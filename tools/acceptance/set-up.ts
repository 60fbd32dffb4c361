import { fileURLToPath } from 'node:url';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { programEnvironment, setUp } from '../../runtime/bootstrap/set-up.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Brings the machine to where `npm start` would bring it; returns the environment for everything that follows. */
export async function setUpForAcceptance(): Promise<NodeJS.ProcessEnv> {
  const progress = createProgress();
  try {
    // A server of its own, even where one is configured: the home folder's database belongs to it.
    const { TEMPORAL_ADDRESS: _address, ...env } = process.env;
    const ready = await setUp({ root: ROOT, progress, env });
    return programEnvironment(ready, progress.seconds(), env);
  } finally {
    progress.close();
  }
}

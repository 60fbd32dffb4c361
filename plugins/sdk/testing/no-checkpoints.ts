import { join } from 'node:path';
import type { CheckpointsV1 } from '../contracts/artifact-store.ts';

/** Checkpoints of an action that nobody has attempted before; what is saved stays where it is. */
export function noCheckpoints(scratchDir: string): CheckpointsV1 {
  return {
    folder: join(scratchDir, 'out'),
    earlierSteps: () => Promise.resolve([]),
    restore: () => Promise.resolve(0),
    save: () => Promise.resolve(),
  };
}

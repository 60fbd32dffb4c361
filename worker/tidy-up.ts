/** What a worker clears away when it starts: leftovers of killed processes at once, what old runs left in the background. */
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { cleanHome, type OpenRun } from '../activities/artifacts/clean-home.ts';
import { sweepLeftovers } from '../activities/artifacts/sweep.ts';
import type { Retention } from '../activities/shared/retention.ts';

/** What a worker is connected to. */
export interface TidyUp {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly storeRoot: string;
  readonly retention: Retention;
  readonly listOpenRuns: (client: Client) => Promise<readonly OpenRun[]>;
  /** Hears of what went wrong; a worker works without it. */
  readonly onProblem: (error: unknown) => void;
}

/** Resolves when nothing of it runs any more; never rejects. */
export async function tidyUp(worker: TidyUp): Promise<void> {
  const { connection, namespace, storeRoot, retention, onProblem } = worker;
  try {
    await sweepLeftovers(storeRoot);
    const openRuns = await worker.listOpenRuns(new Client({ connection, namespace }));
    await cleanHome({ ...retention, storeRoot, openRuns, dryRun: false });
  } catch (error) {
    onProblem(error);
  }
}

/** What a worker clears away when it starts: leftovers of killed processes, and what old runs left. */
import { setTimeout } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { cleanHome, type OpenRun } from '../core/store/clean-home.ts';
import type { ArtifactStoreV1 } from '../plugins/sdk/contracts/artifact-store.ts';
import { sweepLooseRows } from '../plugins/sdk/store/leftovers.ts';
import { readRetention } from './retention.ts';

/** Time that a worker which ends waits for it: what is not removed by then goes at the next start. */
const GRACE_MS = 5000;

interface TidyUpOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly home: string;
  readonly store: ArtifactStoreV1;
  readonly listOpenRuns: (client: Client) => Promise<readonly OpenRun[]>;
  /** A failure on one line. */
  readonly messageOf: (error: unknown) => string;
}

/** Runs beside the worker, which works without it, too: what goes wrong is a line in its log. */
export function tidyUp(options: TidyUpOptions): { readonly settled: () => Promise<void> } {
  const tidy = clear(options).catch((error: unknown) => {
    process.stderr.write(`worker: the store was not tidied: ${options.messageOf(error)}\n`);
  });
  return { settled: async () => await Promise.race([tidy, setTimeout(GRACE_MS, undefined, { ref: false })]) };
}

async function clear({ connection, namespace, home, store, listOpenRuns }: TidyUpOptions): Promise<void> {
  const retention = readRetention();
  await store.sweep();
  await sweepLooseRows();
  const openRuns = await listOpenRuns(new Client({ connection, namespace }));
  await cleanHome({ ...retention, home, store, openRuns, dryRun: false });
}

import type { Client } from '@temporalio/client';
import { resolveDataPath } from '../core/data-roots.ts';
import type { Settings } from '../runtime/settings.ts';
import type { ListedPlugin } from '../plugins/host/host.ts';
import { requirePollers } from './require-pollers.ts';
import type { StartRequest } from './start-request.ts';
import { withStore } from './with-store.ts';

/** What a run of this client finds: a server, folders with data, and a store. */
export interface StartAccess {
  readonly temporal: Client;
  readonly settings: Settings;
  readonly plugins: readonly ListedPlugin[];
}

/**
 * Checks what a run cannot do without before it is started: its files, and workers on its task queues. Throws
 * `FILE_NOT_FOUND`, `PATH_OUTSIDE_ROOTS`, `NO_WORKER`, `TEMPORAL_CONFIG_INVALID`.
 */
export async function checkStart(
  { checks, taskQueue }: StartRequest,
  { temporal, settings, plugins }: StartAccess,
): Promise<void> {
  await withStore({ settings, plugins }, async ({ localRoots }) => {
    const access = { roots: settings.dataRoots, closed: localRoots };
    for (const path of checks.dataPaths) await resolveDataPath(path, access);
  });
  await requirePollers(temporal, taskQueue, checks.resources);
}

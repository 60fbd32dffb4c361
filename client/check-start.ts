import type { Client } from '@temporalio/client';
import { resolveDataPath } from '../core/data-roots.ts';
import type { Settings } from '../runtime/settings.ts';
import { requirePollers } from './require-pollers.ts';
import type { StartRequest } from './start-request.ts';

/**
 * Checks what a run cannot do without before it is started: its files, and workers on its task queues. Throws
 * `FILE_NOT_FOUND`, `PATH_OUTSIDE_ROOTS`, `NO_WORKER`, `TEMPORAL_CONFIG_INVALID`.
 */
export async function checkStart(
  { checks, taskQueue }: StartRequest,
  temporal: Client,
  { dataRoots, storeRoot }: Pick<Settings, 'dataRoots' | 'storeRoot'>,
): Promise<void> {
  for (const path of checks.dataPaths) await resolveDataPath(path, { roots: dataRoots, closed: [storeRoot] });
  await requirePollers(temporal, taskQueue, checks.resources);
}

import { readConnectConfig } from '../../client/connect.ts';
import { withStore } from '../../client/with-store.ts';
import type { Settings } from '../../runtime/settings.ts';
import type { Closing } from './closing.ts';
import { startDevServer } from '../../runtime/server/dev-server.ts';
import { configuredAddress, homeDatabase, useHomeServer, useLocalServer } from './home-server.ts';
import { say } from './terminal.ts';

/** The server that a run goes to. */
export interface RunServer {
  readonly address: string;
  readonly namespace: string;
  /** Null for a server whose Web UI is not known. */
  readonly uiUrl: string | null;
  /** Base name of the task queues. */
  readonly taskQueue: string;
  /** What distinguishes this home's runs from others' on the server; empty on a server of its own. */
  readonly scope: string;
  /** Rejects when a server that was started here ends by itself. */
  readonly died: Promise<never>;
}

/**
 * Uses the server that is configured, or starts one of this home's own. On a server that others use as well, the
 * queues are this store's own: nobody else's steps come here, and none of ours meets a store without its artifacts.
 */
export async function openServer(settings: Settings, closing: Closing): Promise<RunServer> {
  const cliPath = process.env['ESCADA_TEMPORAL_CLI'];
  if (configuredAddress() === undefined && cliPath) return await openOwn(cliPath, settings, closing);
  await useHomeServer(settings);
  const { connectionOptions, namespace } = readConnectConfig();
  const scope = await withStore({ settings }, async (store) => await store.storeId());
  return {
    address: connectionOptions.address ?? 'localhost:7233',
    namespace: namespace ?? 'default',
    uiUrl: null,
    taskQueue: process.env['ESCADA_TASK_QUEUE'] || `escada-${scope}`,
    scope,
    died: new Promise<never>(() => undefined),
  };
}

async function openOwn(cliPath: string, settings: Settings, closing: Closing): Promise<RunServer> {
  const starting = startDevServer({ cliPath, databasePath: homeDatabase(settings) });
  await closing.add(async () => {
    // One that could not be started has been reported already.
    const started = await starting.catch(() => null);
    await started?.stop();
  });
  const server = await starting;
  useLocalServer(server.address);
  say(
    `Temporal server at ${server.address}, Web UI at ${server.uiUrl}${server.shared ? ' (ran already; shared)' : ''}`,
  );
  return { ...server, namespace: 'default', taskQueue: settings.taskQueue, scope: '' };
}

/** Where a run can be looked at. */
export function whereIs({ address, namespace, uiUrl }: RunServer, workflowId: string): string {
  if (uiUrl === null) return `namespace ${namespace} at ${address}`;
  return `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
}

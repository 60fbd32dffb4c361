/** A server, a worker and a client for a measurement: what the quickstart uses, in a home folder that is given. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EscadaClient } from '../../client.ts';
import { readSettings, type Settings } from '../../runtime/settings.ts';
import { startDevServer } from '../../runtime/server/dev-server.ts';
import { say } from '../../cli/lib/terminal.ts';
import { WorkerProcess } from '../../cli/lib/worker-process.ts';

const WORKER_TIMEOUT_MS = 180_000;

export interface BenchPlace {
  readonly client: EscadaClient;
  readonly settings: Settings;
  /** Ends everything that was started. */
  close(): Promise<void>;
}

/** Opens one. `env` must say where the model and the Temporal CLI are, as the set-up does. */
export async function openBenchPlace(home: string, env: NodeJS.ProcessEnv): Promise<BenchPlace> {
  const cliPath = env['ESCADA_TEMPORAL_CLI'];
  if (cliPath === undefined)
    throw new Error('a Temporal server of its own is needed: unset TEMPORAL_ADDRESS');
  await mkdir(home, { recursive: true });
  const closing: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one().catch((error: unknown) => say(String(error)));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void close().finally(() => process.exit(130)));
  }
  try {
    const server = await startDevServer({ cliPath, databasePath: join(home, 'temporal.db') });
    closing.push(() => server.stop());
    process.env['TEMPORAL_ADDRESS'] = server.address;
    const placeEnv = { ...env, ESCADA_HOME: home, TEMPORAL_ADDRESS: server.address };
    const settings = readSettings(placeEnv);
    const logPath = join(home, 'worker.log');
    const worker = await WorkerProcess.start({ env: placeEnv, logPath, onRestart: (why) => say(`! ${why}`) });
    closing.push(() => worker.stop());
    const client = await EscadaClient.connect(settings);
    closing.push(() => client.close());
    await untilPolled(client);
    say(`Web UI at ${server.uiUrl}, home ${home}`);
    return { client, settings, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function untilPolled(client: EscadaClient): Promise<void> {
  const deadlineMs = Date.now() + WORKER_TIMEOUT_MS;
  for (;;) {
    try {
      return await client.requireWorker();
    } catch (problem) {
      if (Date.now() > deadlineMs) throw problem;
      await sleep(300);
    }
  }
}

import { dirname, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { EscadaClient } from '../../client.ts';
import { FileStore } from '../../activities/artifacts/file-store.ts';
import { PACKAGE_ROOT } from '../../activities/shared/own-files.ts';
import { makeFolder, placeFile } from '../../activities/shared/publish.ts';
import { readSettings, type Settings } from '../../activities/shared/settings.ts';
import { isEscadaFailure } from '../../plugins/api/failure.ts';
import type { AdaptationSpecInput } from '../../schemas/adapt/adaptation-spec.ts';
import type { AdaptationOutcome } from '../../schemas/adapt/candidate.ts';
import { startDevServer, type DevServer } from './dev-server.ts';
import { follow } from './follow.ts';
import { importDataFile, loadSpec } from './load-spec.ts';
import { ownDataSpec } from './own-data-spec.ts';
import { renderSamples } from './samples.ts';
import { outcomeJson, renderOutcome } from './summary.ts';
import { print, say, StatusLine } from './terminal.ts';
import { WorkerProcess } from './worker-process.ts';

export interface QuickstartOptions {
  readonly data?: string;
  readonly input?: string;
  readonly output?: string;
  readonly instruction?: string;
  readonly target?: number;
  readonly seed?: number;
  readonly budget?: number;
  readonly spec?: string;
  readonly json?: boolean;
}

const EXAMPLE = join(PACKAGE_ROOT, 'examples/product-descriptions/spec.json');
const WORKER_TIMEOUT_MS = 60_000;

/** The spec that the options ask for, its data in the store. */
async function specFor(options: QuickstartOptions, settings: Settings): Promise<AdaptationSpecInput> {
  const { data, seed, target, budget } = options;
  const base =
    data === undefined
      ? await loadSpec(options.spec ?? EXAMPLE, settings.storeRoot)
      : await ownDataSpec({
          path: resolve(data),
          source: await importDataFile(resolve(data), settings.storeRoot),
          input: options.input,
          output: options.output,
          instruction: options.instruction,
        });
  return {
    ...base,
    ...(seed === undefined ? {} : { seed }),
    ...(target === undefined ? {} : { target }),
    ...(budget === undefined ? {} : { budget: { seconds: budget } }),
  };
}

/** Exit code of a command that was interrupted. */
const INTERRUPTED = 130;

/** Server, worker, run, figures. Everything that was started is stopped again; the run itself is never cancelled. */
export async function runQuickstart(options: QuickstartOptions): Promise<number> {
  const closing: (() => Promise<void>)[] = [];
  const work = climbOnce(options, closing);
  // After an interrupt nobody waits for it any more, and it fails as its connections close.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, interrupted()]);
  } finally {
    for (const close of closing.splice(0).reverse())
      await close().catch((error: unknown) => say(String(error)));
  }
}

/** Settles when the user stops the command. */
async function interrupted(): Promise<number> {
  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  say('\nStopping. The run is kept: `npm start` goes on where it was.');
  return INTERRUPTED;
}

async function climbOnce(options: QuickstartOptions, closing: (() => Promise<void>)[]): Promise<number> {
  const startedMs = performance.now();
  const settings = readSettings();
  const spec = await specFor(options, settings);
  const status = new StatusLine();
  const server = await openServer(settings, closing);
  const { client, env } = await openWorker(server, settings, status, closing);
  const setUpSeconds =
    Number(process.env['ESCADA_SETUP_SECONDS'] ?? 0) + (performance.now() - startedMs) / 1000;
  const runStartedMs = performance.now();
  const handle = await client.start(spec, { attach: true });
  say(`\nRun ${handle.workflowId}: ${runUrl(server, env, handle.workflowId)}`);
  const outcome = await Promise.race([follow(client, handle.workflowId, status), server.died]);
  const runSeconds = (performance.now() - runStartedMs) / 1000;
  await conclude(outcome, { settings, setUpSeconds, runSeconds, json: options.json === true });
  return 0;
}

type Server = Pick<DevServer, 'address' | 'uiUrl' | 'died'>;

async function openServer(settings: Settings, closing: (() => Promise<void>)[]): Promise<Server> {
  const cliPath = process.env['ESCADA_TEMPORAL_CLI'];
  if (process.env['TEMPORAL_ADDRESS'] !== undefined || cliPath === undefined) {
    const address = process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233';
    return { address, uiUrl: 'http://127.0.0.1:8233', died: new Promise<never>(() => undefined) };
  }
  const server = await startDevServer({
    cliPath,
    databasePath: join(dirname(settings.storeRoot), 'temporal.db'),
  });
  closing.push(() => server.stop());
  say(`Temporal server at ${server.address}, Web UI at ${server.uiUrl}`);
  return server;
}

async function openWorker(
  server: Server,
  settings: Settings,
  status: StatusLine,
  closing: (() => Promise<void>)[],
): Promise<{ readonly client: EscadaClient; readonly env: NodeJS.ProcessEnv }> {
  process.env['TEMPORAL_ADDRESS'] = server.address;
  const home = dirname(settings.storeRoot);
  const env = { ...process.env, ESCADA_HOME: home };
  const logPath = join(home, 'worker.log');
  const worker = await WorkerProcess.start({ env, logPath, onRestart: (why) => status.line(`! ${why}`) });
  closing.push(() => worker.stop());
  const client = await EscadaClient.connect(settings);
  closing.push(() => client.close());
  const deadlineMs = Date.now() + WORKER_TIMEOUT_MS;
  for (;;) {
    try {
      await client.requireWorker();
      return { client, env };
    } catch (error) {
      if (!isEscadaFailure(error) || Date.now() > deadlineMs) throw error;
    }
    await sleep(200);
  }
}

function runUrl(server: Server, env: NodeJS.ProcessEnv, workflowId: string): string {
  return `${server.uiUrl}/namespaces/${env['TEMPORAL_NAMESPACE'] ?? 'default'}/workflows/${workflowId}`;
}

interface Conclusion {
  readonly settings: Settings;
  readonly setUpSeconds: number;
  readonly runSeconds: number;
  readonly json: boolean;
}

/** Prints the figures and puts the report where a person finds it. */
async function conclude(
  outcome: AdaptationOutcome,
  { settings, setUpSeconds, runSeconds, json }: Conclusion,
): Promise<void> {
  const store = new FileStore(settings.storeRoot);
  const reports = join(dirname(settings.storeRoot), 'reports');
  await makeFolder(reports);
  const reportPath = join(reports, `${outcome.workflowId}.html`);
  for (const [format, extension] of [
    ['html', 'html'],
    ['json', 'json'],
    ['markdown', 'md'],
  ] as const) {
    const path = join(reports, `${outcome.workflowId}.${extension}`);
    await placeFile(await store.localPath(outcome.report[format]), path, 'The report');
  }
  print(`\n${renderOutcome(outcome)}`);
  print(`\n${await renderSamples(outcome, store)}`);
  print(`\nReport: ${reportPath}`);
  print(`Set-up ${setUpSeconds.toFixed(0)} s, run ${runSeconds.toFixed(0)} s`);
  if (json) print(outcomeJson(outcome, { reportPath, setUpSeconds, runSeconds }));
}

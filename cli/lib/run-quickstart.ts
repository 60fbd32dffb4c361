import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { EscadaClient } from '../../client.ts';
import { withStore } from '../../client/with-store.ts';
import type { ArtifactObjectsV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { PACKAGE_ROOT } from '../../plugins/sdk/package-paths.ts';
import { placeFile } from '../../plugins/sdk/place-output.ts';
import { makeFolder } from '../../plugins/sdk/publish.ts';
import { readSettings, type Settings } from '../../runtime/settings.ts';
import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { AdaptationSpecInput } from '../../schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome } from '../../schemas/outcome/decision.ts';
import { Closing } from './closing.ts';
import { explainError } from './explain.ts';
import { follow } from './follow.ts';
import { modelRootsWith } from '../../plugins/sdk/model-folder/model-path.ts';
import { importDataFile, loadSpec, localModelPath } from './load-spec.ts';
import { openServer, whereIs } from './open-server.ts';
import { ownDataSpec } from './own-data-spec.ts';
import { withNumbers } from './spec-numbers.ts';
import { renderSamples } from './samples.ts';
import { outcomeJson, renderOutcome } from './summary.ts';
import { print, say, StatusLine } from './terminal.ts';
import { WorkerProcess, workerLog } from './worker-process.ts';

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
/** A worker bundles its workflows before it polls; several may do so at once. */
const WORKER_TIMEOUT_MS = 180_000;

/** The spec that the options ask for, its data in the store. */
async function specFor(options: QuickstartOptions, store: ArtifactObjectsV1): Promise<AdaptationSpecInput> {
  const { data } = options;
  if (data === undefined) return withNumbers(await loadSpec(options.spec ?? EXAMPLE, store), options);
  const spec = await ownDataSpec({
    path: resolve(data),
    source: await importDataFile(resolve(data), store),
    input: options.input,
    output: options.output,
    instruction: options.instruction,
  });
  return withNumbers(spec, options);
}

/** Exit code of a command that was interrupted. */
const INTERRUPTED = 130;

/** Server, worker, run, figures. Everything that was started is stopped again; the run itself is never cancelled. */
export async function runQuickstart(options: QuickstartOptions): Promise<number> {
  const closing = new Closing();
  const work = adaptOnce(options, closing);
  // After an interrupt nobody waits for it any more, and it fails as its connections close.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, interrupted()]);
  } finally {
    await closing.end((error) => say(explainError(error)));
  }
}

/** Settles when the user stops the command, or closes its terminal. */
async function interrupted(): Promise<number> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  say('\nStopping. The run is kept: `npm start` continues it.');
  return INTERRUPTED;
}

async function adaptOnce(options: QuickstartOptions, closing: Closing): Promise<number> {
  const startedMs = performance.now();
  const given = readSettings();
  const spec = await withStore({ settings: given }, async (store) => await specFor(options, store));
  const status = new StatusLine();
  const modelPath = localModelPath(spec);
  // Whoever starts this worker wrote the path: it may read the model there.
  if (modelPath !== undefined) process.env['ESCADA_MODEL_ROOTS'] = modelRootsWith(modelPath);
  const server = await openServer(given, closing);
  const settings = { ...given, taskQueue: server.taskQueue };
  const { client, failed } = await openWorker(settings, status, closing);
  const ended = Promise.race([server.died, failed]);
  const setUpSeconds =
    Number(process.env['ESCADA_SETUP_SECONDS'] ?? 0) + (performance.now() - startedMs) / 1000;
  const runStartedMs = performance.now();
  const { scope } = server;
  const handle = await Promise.race([client.startAdaptation(spec, { attach: true, scope }), ended]);
  const { workflowId, attached } = handle;
  say(`\nRun ${workflowId}: ${whereIs(server, workflowId)}`);
  if (attached) say('It is running already, started by an earlier command: this one follows it.');
  const outcome = await Promise.race([follow(client, workflowId, status), ended]);
  const runSeconds = (performance.now() - runStartedMs) / 1000;
  await conclude(outcome, { settings, setUpSeconds, runSeconds, json: options.json === true });
  return 0;
}

interface Opened {
  readonly client: EscadaClient;
  /** Rejects when the worker is given up. */
  readonly failed: Promise<never>;
}

async function openWorker(settings: Settings, status: StatusLine, closing: Closing): Promise<Opened> {
  // First, so that a server that cannot be used is reported by its own error, not by a worker that keeps ending.
  const client = await EscadaClient.connect(settings);
  await closing.add(() => client.close());
  const home = settings.home;
  const env = { ...process.env, ESCADA_HOME: home, ESCADA_TASK_QUEUE: settings.taskQueue };
  const logPath = await workerLog(home);
  const worker = await WorkerProcess.start({ env, logPath, onRestart: (why) => status.line(`! ${why}`) });
  await closing.add(() => worker.stop());
  await Promise.race([untilPolled(client), worker.failed]);
  return { client, failed: worker.failed };
}

async function untilPolled(client: EscadaClient): Promise<void> {
  const deadlineMs = Date.now() + WORKER_TIMEOUT_MS;
  for (;;) {
    try {
      return await client.requireWorker();
    } catch (error) {
      if (!isEscadaFailure(error) || error.code !== 'NO_WORKER' || Date.now() > deadlineMs) throw error;
    }
    await sleep(200);
  }
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
  const reports = join(settings.home, 'reports');
  await makeFolder(reports);
  const reportPath = join(reports, `${outcome.workflowId}.html`);
  const samples = await withStore({ settings }, async (store) => {
    for (const [format, extension] of [
      ['html', 'html'],
      ['json', 'json'],
      ['markdown', 'md'],
    ] as const) {
      const path = join(reports, `${outcome.workflowId}.${extension}`);
      await placeFile(await store.localPath(outcome.report[format]), path, 'The report');
    }
    return await renderSamples(outcome, store);
  });
  print(`\n${renderOutcome(outcome)}`);
  print(`\n${samples}`);
  print(`\nReport: ${reportPath}`);
  print(`Set-up ${setUpSeconds.toFixed(0)} s, run ${runSeconds.toFixed(0)} s`);
  if (json) print(outcomeJson(outcome, { reportPath, setUpSeconds, runSeconds }));
}

/**
 * Workflow code on a real Temporal server, with every worker in this process: the workflows and the control activities are
 * the product's, only the steps are scripted.
 *
 *   const stage = await Stage.open('interpreter');            // in `before`: server and workers, once per file
 *   after(() => stage.close());
 *
 *   const run = await stage.pipeline(spec, {                  // stage.adapt, stage.train; stage.start: any arguments
 *     steps: {                                              // by activity id, by step kind, or '*' for the rest
 *       'pipeline/a': answer({ rows: 3 }),
 *       'pipeline/b': inTurn(failing('ENGINE_IO'), answer()), // first call, second call, …
 *       'test.device@1': hanging(),
 *     },
 *     control: { judgeRung: async () => ({ … }) },           // scripted control activities; the others are real
 *   });
 *   await run.started('pipeline/b');                         // waits for the call
 *   assert.deepEqual(await run.result(), …);                  // or: const { code, message } = await run.failure();
 *   run.calls                                               // every call in order, with input, attempt and how it ended
 *
 * Behaviours are in `behaviours.ts`; `Gate`, `when` and `stubborn` put events into an order without any clock. Kinds for
 * pipelines are in `kinds.ts` (`test.readonly@1`, `test.resumable@1`, `test.device@1`, …). Real kinds of specs are scripted
 * too (`train.adapter@1`), or run as they are (`stage.real('score.predictions@1')`). A step without a script fails the run and says its id. `stage.store` is the real
 * store that judging and deciding read; `ladder.ts` has a spec and the
 * steps of a whole ladder. A Workflow Task that fails, which the server
 * would repeat without end, ends `result()` and `failure()` with its message.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { activityInfo } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { adaptationStart, pipelineStart, trainingStart } from '../../../client/requests.ts';
import { startOptions, type StartRequest } from '../../../client/start-request.ts';
import { FileStore } from '../../../core/store/file-store.ts';
import { createControlActivities } from '../../../activities/control-activities.ts';
import { createServices } from '../../../activities/services.ts';
import type { ListedPlugin, PluginHost } from '../../../plugins/host/host.ts';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import { createProjectHost } from '../../../plugins.ts';
import type { ControlActivities } from '../../../activities/control-activities.ts';
import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';
import type { PipelineSpecInput } from '../../../schemas/spec/pipeline-spec.ts';
import type { TrainSpecInput } from '../../../schemas/spec/train-spec.ts';
import { noCheckpoints } from '../../../plugins/sdk/testing/no-checkpoints.ts';
import { queueName, RESOURCE_CLASSES } from '../../../schemas/plan/queues.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { StepOrigin } from '../../../schemas/plan/pipeline-plan.ts';
import { TestServer } from '../../whole/support/server.ts';
import type { Behaviour } from './behaviours.ts';
import { bundledWorkflows } from './bundle.ts';
import { ABSENT_KIND, testKinds } from './kinds.ts';
import { StagedRun, type Script } from './staged-run.ts';
import { parseValue } from '../../../plugins/sdk/schema-check/check-value.ts';

const NAMESPACE = 'default';

/** What a Schedule adds to the workflow id of its action. */
const SCHEDULED_AT = /-\d{4}-\d\d-\d\dT[\d:.]+Z$/;

type AnyActivity = (...given: never[]) => Promise<unknown>;

/** Server, store and workers of one test file. */
export class Stage {
  readonly server: TestServer;
  readonly client: Client;
  readonly store: FileStore;
  /** Files that specs may name, as paths relative to it. */
  readonly dataDir: string;
  readonly taskQueue: string;
  readonly #plugins: readonly ListedPlugin[];
  readonly #host: PluginHost;
  readonly #runs = new Map<string, StagedRun>();
  readonly #closing = new AbortController();
  readonly #opened: { readonly close: () => Promise<unknown> }[] = [];

  private constructor(server: TestServer, client: Client, name: string, plugins: readonly PluginV1[]) {
    this.#plugins = [testKinds, ...plugins].map((plugin) => ({ plugin }));
    this.#host = createProjectHost(this.#plugins);
    this.server = server;
    this.client = client;
    this.taskQueue = `stage-${name}`;
    this.dataDir = join(server.folder, 'data');
    this.store = new FileStore(join(server.folder, 'store'));
  }

  static #installed = false;

  /** `config`: dynamic settings of the server, by name. `plugins`: what specs may name beside the built-in plugins. */
  static async open(
    name: string,
    config: Readonly<Record<string, number>> = {},
    plugins: readonly PluginV1[] = [],
  ): Promise<Stage> {
    if (!Stage.#installed) Runtime.install({ logger: new DefaultLogger('ERROR') });
    Stage.#installed = true;
    const [server, workflowBundle] = await Promise.all([TestServer.start(config), bundledWorkflows()]);
    const connection = await Connection.connect({ address: server.address });
    const stage = new Stage(server, new Client({ connection, namespace: NAMESPACE }), name, plugins);
    stage.#opened.push({ close: () => server.stop() }, connection);
    try {
      await mkdir(stage.dataDir, { recursive: true });
      await stage.#startWorkers(workflowBundle);
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  async #startWorkers(workflowBundle: { readonly code: string }): Promise<void> {
    const connection = await NativeConnection.connect({ address: this.server.address });
    this.#opened.push(connection);
    this.#opened.push(this.#host);
    const { store, taskQueue } = this;
    const control = createControlActivities({ host: this.#host, store, dataRoots: [this.dataDir] });
    const steps = this.#host.registry.stepKinds.names().filter((kind) => kind !== ABSENT_KIND);
    const shared = { connection, namespace: NAMESPACE, maxHeartbeatThrottleInterval: '100ms' } as const;
    const workers = [
      await Worker.create({ ...shared, taskQueue, workflowBundle, activities: this.#scriptable(control) }),
    ];
    for (const resource of RESOURCE_CLASSES) {
      const activities = Object.fromEntries(steps.map((kind) => [kind, this.#step(kind)]));
      workers.push(await Worker.create({ ...shared, taskQueue: queueName(taskQueue, resource), activities }));
    }
    for (const worker of workers) {
      const ended = worker.run();
      ended.catch(() => undefined);
      this.#opened.push({
        close: async () => {
          worker.shutdown();
          await ended;
        },
      });
    }
  }

  /** Real control activities, each of which a run's script may replace. */
  #scriptable(real: ControlActivities): Record<string, AnyActivity> {
    return Object.fromEntries(
      (Object.entries(real) as [keyof ControlActivities, AnyActivity][]).map(([name, activity]) => [
        name,
        async (...given: never[]) => {
          const scripted = this.#running()?.script.control?.[name] as AnyActivity | undefined;
          return await (scripted ?? activity)(...given);
        },
      ]),
    );
  }

  #step(kind: string): (input: JsonObject, origin: StepOrigin) => Promise<unknown> {
    return async (input, origin) => {
      const run = this.#running();
      if (run === undefined) throw new Error('no test has started this run');
      return await run.perform(kind, input, origin, this.#closing.signal);
    };
  }

  #running(): StagedRun | undefined {
    const id = activityInfo().workflowExecution?.workflowId ?? '';
    return this.#runs.get(id) ?? this.#runs.get(id.replace(SCHEDULED_AT, ''));
  }

  /** Starts an adaptation by its start request, as `EscadaClient` does. */
  async adapt(spec: AdaptationSpecInput, script: Script = {}): Promise<StagedRun> {
    return await this.request(await adaptationStart(spec, this.requestOptions), script);
  }

  /** Starts a training by its start request. */
  async train(spec: TrainSpecInput, script: Script = {}): Promise<StagedRun> {
    return await this.request(await trainingStart(spec, this.requestOptions), script);
  }

  /** Starts a pipeline by its start request. */
  async pipeline(spec: PipelineSpecInput, script: Script = {}): Promise<StagedRun> {
    return await this.request(await pipelineStart(spec, this.requestOptions), script);
  }

  /** Queue and plugins of this stage, for start requests. */
  get requestOptions() {
    return { taskQueue: this.taskQueue, plugins: this.#plugins };
  }

  /** Starts what a request says. */
  async request(request: StartRequest, script: Script = {}): Promise<StagedRun> {
    const run = this.expect(request.workflowId, script);
    await this.client.workflow.start(request.type, startOptions(request));
    return run;
  }

  /** Gives a run its script before anybody starts it, for instance a Schedule. */
  expect(workflowId: string, script: Script = {}): StagedRun {
    const run = new StagedRun(this.client.workflow.getHandle(workflowId), script);
    this.#runs.set(workflowId, run);
    return run;
  }

  /** Starts a workflow with whatever arguments, as a UI could; for specs that are to be refused. */
  async start(type: string, args: readonly unknown[], script: Script = {}): Promise<StagedRun> {
    const workflowId = `${type}-${randomBytes(5).toString('hex')}`;
    const run = this.expect(workflowId, script);
    await this.client.workflow.start(type, { args: [...args], taskQueue: this.taskQueue, workflowId });
    return run;
  }

  /** Does what the product's step of that kind does, without its cache. For small steps that need no model. */
  real(kind: string): Behaviour {
    const { registry } = this.#host;
    const real = registry.stepKinds.get(kind);
    const services = createServices({ registry, store: this.store, dataRoots: [this.dataDir] });
    return async ({ input, closing, activityId, number }) => {
      const scratchDir = join(this.server.folder, 'scratch', activityId.replaceAll('/', '_'), String(number));
      await mkdir(scratchDir, { recursive: true });
      const work = { signal: closing, heartbeat: () => undefined, scratchDir };
      return {
        output: await real.doRun(parseValue(real.withSchema, input), {
          ...services,
          ...work,
          checkpoints: noCheckpoints(scratchDir),
        }),
      };
    };
  }

  /** Writes a file that specs may name. */
  async writeData(name: string, text: string): Promise<void> {
    await writeFile(join(this.dataDir, name), text);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const failures: unknown[] = [];
    for (const one of this.#opened.splice(0).reverse())
      await one.close().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}

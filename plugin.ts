/** Composition root inside a host's worker: `Worker.create({ …, plugins: [await EscadaPlugin.load()] })`. */
import { SimplePlugin } from '@temporalio/plugin';
import { Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createControlActivities, type ActivityDeps } from './activities/control-activities.ts';
import { readSettings, type Settings } from './runtime/settings.ts';
import type { ListedPlugin, PluginHost } from './plugins/host/host.ts';
import { loadHost } from './plugins.ts';
import { startLoopWatchdog } from './worker/loop-watchdog.ts';
import { pluginReused, requireFreeNames, requireRoles } from './worker/host-worker.ts';
import { activityDeps, roleOptions, WORKFLOWS_PATH } from './worker/roles.ts';
import { RESOURCE_CLASSES, ROLES, type Role } from './schemas/plan/queues.ts';
import { asRunner, createAll, runTogether } from './worker/run-together.ts';

export interface EscadaPluginOptions {
  /**
   * What this process takes on. `control` runs in the host's own Worker; for each of `cpu`, `gpu` and `io` the plugin runs
   * a Worker beside it, on `<task queue>-cpu`, `<task queue>-gpu` and `<task queue>-io`. Default: all of them.
   */
  readonly roles?: readonly Role[];
  /** What differs from the environment's settings. `taskQueue` counts only without `control`. */
  readonly settings?: Partial<Settings>;
  /** Plugins beside the built-in ones and those of the configuration file. The client needs the same. */
  readonly plugins?: readonly ListedPlugin[];
}

/** One instance serves one Worker; `EscadaPlugin.load` makes it. */
export class EscadaPlugin extends SimplePlugin {
  readonly #roles: readonly Role[];
  readonly #settings: Settings;
  readonly #host: PluginHost;
  readonly #deps: ActivityDeps;
  readonly #stepQueues = new Set<string>();
  #given: WorkerOptions | null = null;

  /** Loads the plugins of the project's configuration file first. Throws `FILE_NOT_FOUND`, `CONFIG_INVALID`, `PLUGIN_*`. */
  static async load({ roles = ROLES, settings, plugins }: EscadaPluginOptions = {}): Promise<EscadaPlugin> {
    requireRoles(roles, ROLES);
    return new EscadaPlugin(await loadHost(plugins), roles, { ...readSettings(), ...settings });
  }

  private constructor(host: PluginHost, roles: readonly Role[], all: Settings) {
    const deps = activityDeps(host, all);
    super({
      name: 'escada',
      ...(roles.includes('control') && {
        activities: createControlActivities(deps),
        // A host with workflows of its own re-exports Escada's among them.
        workflowsPath: (own: string | undefined) => own ?? WORKFLOWS_PATH,
      }),
    });
    this.#roles = roles;
    this.#settings = all;
    this.#host = host;
    this.#deps = deps;
  }

  /** Throws `WORKER_PLUGIN_REUSED`, `ACTIVITY_NAME_TAKEN`. */
  override configureWorker(options: WorkerOptions): WorkerOptions {
    // A plugin of the connection is called for the step Workers, too.
    if (this.#stepQueues.has(options.taskQueue)) return options;
    if (this.#given !== null) throw pluginReused(options.taskQueue);
    this.#given = options;
    requireFreeNames(options.activities ?? {}, this.options.activities ?? {});
    const configured = super.configureWorker(options);
    // A prebuilt bundle holds the workflows already.
    if (options.workflowBundle === undefined) return configured;
    return { ...configured, workflowsPath: options.workflowsPath };
  }

  /** The run context: the step Workers and the plugins live as long as the host's Worker runs. */
  override async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    if (this.#stepQueues.has(worker.options.taskQueue)) return await next(worker);
    try {
      const steps = await this.#createStepWorkers(worker.options);
      const own = asRunner(worker, () => super.runWorker(worker, next));
      const stopWatching = startLoopWatchdog({
        warn: (message) => void Runtime.instance().logger.warn(message),
      });
      await runTogether([own, ...steps.map((one) => asRunner(one))]).finally(stopWatching);
    } finally {
      await Promise.all([this.#host.close(), this.#deps.store.close()]);
    }
  }

  async #createStepWorkers(host: Worker['options']): Promise<readonly Worker[]> {
    const taskQueue = this.#roles.includes('control') ? host.taskQueue : this.#settings.taskQueue;
    const { namespace, dataConverter, identity, interceptors } = host;
    const common = { namespace, dataConverter, identity, interceptors: { activity: interceptors.activity } };
    const roles = RESOURCE_CLASSES.filter((role) => this.#roles.includes(role));
    const settings = { ...this.#settings, taskQueue };
    return await createAll(
      roles.map((role) => async () => {
        const options = roleOptions(role, settings, this.#deps);
        this.#stepQueues.add(options.taskQueue);
        // Without a connection given, each Worker makes one of its own, as the host's did.
        return await Worker.create({ ...common, connection: this.#given?.connection, ...options });
      }),
    );
  }
}

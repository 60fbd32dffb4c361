import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileStore } from '../../../core/store/file-store.ts';
import { readSettings, type Settings } from '../../../runtime/settings.ts';
import { EscadaClient } from '../../../client.ts';
import { stopProcess } from '../../../runtime/server/stop-process.ts';
import { queueName } from '../../../schemas/plan/queues.ts';
import { ROOT, TINY_MODEL } from './needs.ts';
import { disown, own, resultOf, until, untilNoneLeft, type CommandResult } from './processes.ts';
import type { TestServer } from './server.ts';

/** Longer than the worker's own grace. */
const STOP_TIMEOUT_MS = 60_000;

const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];

/** A home folder with its own store, task queue, data folder and worker process, on a test's server. */
export class Place {
  readonly home: string;
  readonly dataDir: string;
  readonly settings: Settings;
  readonly store: FileStore;
  readonly env: NodeJS.ProcessEnv;
  #worker: ChildProcess | undefined;
  #second: ChildProcess | undefined;
  #client: EscadaClient | undefined;

  private constructor(server: TestServer, name: string, modelPath: string) {
    this.home = join(server.folder, `${name}-${randomBytes(3).toString('hex')}`);
    this.dataDir = join(this.home, 'data');
    const { ESCADA_SETUP_SECONDS: _setup, NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
    this.env = {
      ...inherited,
      ESCADA_HOME: this.home,
      ESCADA_TASK_QUEUE: `whole-${name}-${randomBytes(3).toString('hex')}`,
      ESCADA_DATA_ROOTS: this.dataDir,
      ESCADA_MODEL_PATH: modelPath,
    };
    this.settings = readSettings(this.env);
    this.store = new FileStore(join(this.home, 'store'));
  }

  /** Opens a place; without a word on the model the tiny checkpoint is "the model". Close it in the test's `after`. */
  static async open(server: TestServer, name: string, modelPath: string = TINY_MODEL): Promise<Place> {
    const place = new Place(server, name, modelPath);
    await mkdir(place.dataDir, { recursive: true });
    return place;
  }

  /** A client of this place's queue; closed with the place. */
  async client(): Promise<EscadaClient> {
    this.#client ??= await EscadaClient.connect(this.settings);
    return this.#client;
  }

  get workerPid(): number {
    return this.#worker?.pid ?? -1;
  }

  #spawnWorker(): ChildProcess {
    const log = openSync(join(this.home, 'worker.log'), 'a');
    const args = [...NODE_FLAGS, join(ROOT, 'worker.ts'), 'all'];
    // The worker ends when the ipc channel closes, so that none outlives a test that crashes.
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: this.env,
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    });
    closeSync(log);
    if (child.pid !== undefined) own(child.pid);
    return child;
  }

  /** Starts the worker process and waits until every queue is polled. */
  async startWorker(): Promise<void> {
    const child = this.#spawnWorker();
    this.#worker = child;
    const client = await this.client();
    await until('a polling worker', async () => {
      if (child.exitCode !== null)
        throw new Error(`the worker ended with ${child.exitCode}:\n${await this.workerLog()}`);
      return await client.requireWorker().then(
        () => true,
        () => undefined,
      );
    });
  }

  /** Starts another worker on the same queues and the same store; it ends when the place is closed. */
  async startSecondWorker(): Promise<void> {
    const child = this.#spawnWorker();
    this.#second = child;
    // The queues are polled already: the number of identities shows that this one polls too.
    await until('the second worker', async () => ((await this.#pollersOf()) > 1 ? true : undefined));
  }

  /** How many workers poll the queue of the steps without the model: one at a time has the device. */
  async #pollersOf(): Promise<number> {
    const { temporal } = await this.client();
    const { pollers } = await temporal.workflowService.describeTaskQueue({
      namespace: temporal.options.namespace,
      taskQueue: { name: queueName(this.settings.taskQueue, 'cpu') },
      taskQueueType: 2,
    });
    return new Set((pollers ?? []).map(({ identity }) => identity)).size;
  }

  async workerLog(): Promise<string> {
    return await readFile(join(this.home, 'worker.log'), 'utf8').catch(() => '');
  }

  /** Ends the worker, and the second one if there is one, as a service manager would. */
  async stopWorker(): Promise<void> {
    const children = [this.#worker, this.#second];
    [this.#worker, this.#second] = [undefined, undefined];
    for (const child of children) if (child !== undefined) await this.#stop(child);
  }

  async #stop(child: ChildProcess): Promise<void> {
    await stopProcess(child, STOP_TIMEOUT_MS);
    if (child.pid !== undefined) disown(child.pid);
    const { exitCode, signalCode } = child;
    if (exitCode !== 0)
      throw new Error(`the worker ended with ${signalCode ?? exitCode}:\n${await this.workerLog()}`);
  }

  /** kill -9 of the worker process. */
  async killWorker(): Promise<void> {
    const child = this.#worker;
    if (child === undefined) throw new Error('there is no worker');
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    if (child.pid !== undefined) disown(child.pid);
    this.#worker = undefined;
  }

  /** Runs `escada` with these arguments. `env` is added to the place's own. */
  async escada(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    const child = spawn(process.execPath, [...NODE_FLAGS, join(ROOT, 'cli/main.ts'), ...args], {
      cwd: this.dataDir,
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return await resultOf(child);
  }

  /** Stops the worker, closes the client and makes sure that no process of this place is left. */
  async close(): Promise<void> {
    await this.stopWorker();
    await this.#client?.close();
    this.#client = undefined;
    await untilNoneLeft(this.home);
  }
}

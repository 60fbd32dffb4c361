import { Worker } from 'node:worker_threads';
import { movementNoter } from './movement.ts';
import { moduleUrl, PLUGINS_URL } from './package-paths.ts';

interface Waiting<Job, Result> {
  readonly job: Job;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Flags of a thread: module hooks are a thread's own, so one of an outside plugin installs those of its host again. */
function flagsFor(module: URL): string[] {
  // A program given as text passes a flag on that a thread of a file refuses.
  const inherited = process.execArgv.filter((flag) => !flag.startsWith('--input-type'));
  if (module.href.startsWith(PLUGINS_URL)) return inherited;
  return [...inherited, '--import', moduleUrl('./product-imports.ts', import.meta.url).href];
}

/**
 * Threads that answer one message with one message. When the signal aborts, all of them end at once and what is under
 * way rejects with the signal's reason; a thread that dies rejects what it was doing. Every answer counts as a movement of
 * the step that made the pool.
 */
export class ThreadPool<Job, Result> {
  readonly #idle: Worker[] = [];
  readonly #all: Worker[];
  readonly #busy = new Map<Worker, Waiting<Job, Result>>();
  readonly #queue: Waiting<Job, Result>[] = [];
  readonly #signal: AbortSignal;
  readonly #stop = (): void => void this.close();
  readonly #moved = movementNoter();
  #broken: Error | null = null;

  constructor(module: URL, settings: unknown, threads: number, signal: AbortSignal) {
    this.#signal = signal;
    this.#all = Array.from({ length: threads }, () => this.#start(module, settings));
    this.#idle.push(...this.#all);
    signal.addEventListener('abort', this.#stop);
  }

  async run(job: Job): Promise<Result> {
    this.#signal.throwIfAborted();
    if (this.#broken !== null) throw this.#broken;
    return await new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#next();
    });
  }

  /** Runs jobs as they come, a few ahead of the threads, and hands over each result. Stops at the first error. */
  async drain(
    jobs: AsyncIterable<Job> | Iterable<Job>,
    take: (result: Result) => Promise<void>,
  ): Promise<void> {
    const running = new Set<Promise<void>>();
    for await (const job of jobs) {
      while (running.size >= 2 * this.#all.length) await Promise.race(running);
      const one = this.run(job)
        .then(take)
        .finally(() => running.delete(one));
      // It is awaited below; until then its failure must not count as unhandled.
      one.catch(() => undefined);
      running.add(one);
    }
    await Promise.all(running);
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#stop);
    this.#fail(this.#signal.aborted ? this.#signal.reason : new Error('the threads were stopped'));
    await Promise.all(this.#all.map((thread) => thread.terminate()));
  }

  #start(module: URL, settings: unknown): Worker {
    const thread = new Worker(module, { workerData: settings, execArgv: flagsFor(module) });
    thread.on('message', (result: Result) => {
      this.#moved();
      this.#busy.get(thread)?.resolve(result);
      this.#busy.delete(thread);
      this.#idle.push(thread);
      this.#next();
    });
    thread.on('error', (error) => this.#fail(error));
    thread.on('exit', () => this.#fail(new Error('a thread ended before its work was done')));
    return thread;
  }

  #next(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const thread = this.#idle.pop() as Worker;
      const waiting = this.#queue.shift() as Waiting<Job, Result>;
      this.#busy.set(thread, waiting);
      thread.postMessage(waiting.job);
    }
  }

  #fail(error: unknown): void {
    this.#broken ??= error instanceof Error ? error : new Error(String(error));
    for (const { reject } of [...this.#busy.values(), ...this.#queue.splice(0)]) reject(this.#broken);
    this.#busy.clear();
  }
}

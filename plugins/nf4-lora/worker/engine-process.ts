/**
 * Supervises one engine process: starts it, carries requests and replies, and makes sure that whatever happens to
 * either side, every request settles and no process is left behind.
 */
import type { EscadaFailure } from '../../api/failure.ts';
import { cancelFailure, crashFailure, protocolFailure, replyFailure, stallFailure } from './engine-errors.ts';
import type { ProcessExit } from './engine-errors.ts';
import { onEachLine } from './lines.ts';
import { LogRing } from './log-ring.ts';
import { Operation, type OperationHost, type RequestOptions } from './operation.ts';
import {
  PROTOCOL_VERSION,
  replySchema,
  type Method,
  type ParamsOf,
  type Reply,
  type ResultOf,
} from './protocol.ts';
import { spawnChild, type SpawnedChild } from './spawn-child.ts';

export interface EngineProcessOptions {
  /** Path of the native addon. Default: `ESCADA_ENGINE_ADDON`, then where the build puts it. */
  readonly addonPath?: string;
  /** Time between `cancel` (or closing) and SIGKILL. Default 5000. */
  readonly graceMs?: number;
  /** Time for the process to load the addon and to answer `hello`. Default 30000. */
  readonly startMs?: number;
  /** Called for each line of the engine's log. */
  readonly onLog?: (line: string) => void;
}

/** Lines of the log that an error message shows. */
const SHOWN_LOG_LINES = 15;

export class EngineProcess {
  readonly #child: SpawnedChild;
  readonly #log = new LogRing();
  readonly #operations = new Map<number, Operation>();
  readonly #graceMs: number;
  readonly #host: OperationHost;
  #hello: ResultOf<'hello'> | undefined;
  #nextId = 1;
  /** Why the process was told to end, or what it said before it did. */
  #failure: EscadaFailure | undefined;
  #exit: ProcessExit | undefined;
  /** Fulfilled when the process is gone and everything it wrote has been read. Never rejects. */
  readonly ended: Promise<ProcessExit>;

  /**
   * Starts a process and greets it.
   * Throws `ENGINE_NOT_BUILT`, `ENGINE_CRASHED`, `ENGINE_STALLED` (no greeting within `startMs`), `ENGINE_CANCELLED`.
   */
  static async start(options: EngineProcessOptions = {}, signal?: AbortSignal): Promise<EngineProcess> {
    const engine = new EngineProcess(options);
    try {
      engine.#hello = await engine.request('hello', {}, { stallMs: options.startMs ?? 30_000, signal });
      return engine;
    } catch (error) {
      await engine.kill();
      throw error;
    }
  }

  private constructor(options: EngineProcessOptions) {
    this.#graceMs = options.graceMs ?? 5000;
    this.#child = spawnChild(options);
    this.#host = this.#makeHost();
    this.ended = this.#listen(options.onLog);
    this.#hold(false);
  }

  /** What the engine said of itself: build, instruction-set class, threads. */
  get hello(): ResultOf<'hello'> {
    if (this.#hello === undefined) throw new Error('the process was not started with EngineProcess.start');
    return this.#hello;
  }

  get pid(): number {
    return this.#child.process.pid ?? -1;
  }

  /** False once the process has ended or was told to. */
  get alive(): boolean {
    return this.#exit === undefined && this.#failure === undefined;
  }

  /**
   * Sends one request and waits for its result. Throws the engine's coded error, `ENGINE_CRASHED` (with exit code or
   * signal and the last log lines), `ENGINE_STALLED` or `ENGINE_CANCELLED`.
   */
  request<M extends Method>(
    method: M,
    params: ParamsOf<M>,
    options: RequestOptions<M> = {},
  ): Promise<ResultOf<M>> {
    if (options.signal?.aborted === true) return Promise.reject(cancelFailure(method, options.signal.reason));
    if (!this.alive) return Promise.reject(this.#endFailure(method));
    const what = { id: this.#nextId++, method, graceMs: this.#graceMs };
    const operation = new Operation(what, this.#host, options);
    this.#operations.set(what.id, operation);
    this.#hold(true);
    this.#send(what.id, method, params);
    return operation.promise.finally(() => this.#finished(what.id));
  }

  /** Asks the process to end (closes its requests) and waits; kills it after the grace. */
  async close(): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#failure ??= cancelFailure('close', undefined);
    this.#hold(true);
    const timer = setTimeout(() => this.#child.process.kill('SIGKILL'), this.#graceMs);
    this.#child.requests.end();
    await this.ended;
    clearTimeout(timer);
  }

  /** Kills the process and waits until it is gone. */
  async kill(failure?: EscadaFailure): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#failure ??= failure ?? cancelFailure('kill', undefined, true);
    this.#hold(true);
    this.#child.process.kill('SIGKILL');
    await this.ended;
  }

  #makeHost(): OperationHost {
    return {
      cancel: (id) => this.#send(this.#nextId++, 'cancel', { target: id }),
      kill: (failure) => void this.kill(failure),
      stalled: (method, stallMs) => stallFailure(method, stallMs, this.#log.last(SHOWN_LOG_LINES)),
      cancelled: (method, reason) => cancelFailure(method, reason, true),
    };
  }

  #send<M extends Method>(id: number, method: M, params: ParamsOf<M>): void {
    this.#child.requests.write(`${JSON.stringify({ v: PROTOCOL_VERSION, id, method, params })}\n`);
  }

  #listen(onLog: EngineProcessOptions['onLog']): Promise<ProcessExit> {
    const { process: child, requests, replies, log } = this.#child;
    onEachLine(log, (line) => {
      this.#log.add(line);
      onLog?.(line);
    });
    onEachLine(replies, (line) => this.#onReply(line));
    // A broken pipe means that the process is ending; `close` below tells how.
    requests.on('error', () => undefined);
    replies.on('error', () => undefined);
    return new Promise((resolve) => {
      // `close`, not `exit`: the last log lines explain the end and are read by then.
      child.on('close', (exitCode, signal) => this.#onEnd({ exitCode, signal }, resolve));
    });
  }

  #onEnd(exit: ProcessExit, resolve: (exit: ProcessExit) => void): void {
    this.#exit = exit;
    for (const operation of [...this.#operations.values()])
      operation.reject(this.#endFailure(operation.method));
    resolve(exit);
  }

  #endFailure(method: Method): EscadaFailure {
    if (this.#failure !== undefined) return this.#failure;
    const exit = this.#exit ?? { exitCode: null, signal: null };
    return crashFailure(exit, this.#log.last(SHOWN_LOG_LINES), { method, pid: this.pid });
  }

  #onReply(line: string): void {
    const reply = parseReply(line);
    if (reply === undefined) return void this.kill(protocolFailure('reply', line.slice(0, 200)));
    if (reply.id === null) {
      if ('error' in reply) void this.kill(replyFailure(reply.error, { method: 'start' }));
      return;
    }
    // Replies to `cancel`, and to operations that were given up, have nobody waiting.
    const operation = this.#operations.get(reply.id);
    if (operation === undefined) return;
    if ('event' in reply) operation.event(reply.event);
    else if ('result' in reply) operation.result(reply.result);
    else operation.reject(replyFailure(reply.error, { method: operation.method }));
  }

  #finished(id: number): void {
    this.#operations.delete(id);
    if (this.#operations.size === 0) this.#hold(false);
  }

  /** An idle process must not keep the worker alive; a busy one must. */
  #hold(busy: boolean): void {
    const handles = [this.#child.process, this.#child.requests, this.#child.replies, this.#child.log];
    for (const handle of handles as { ref?(): void; unref?(): void }[]) {
      if (busy) handle.ref?.();
      else handle.unref?.();
    }
  }
}

function parseReply(line: string): Reply | undefined {
  try {
    return replySchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

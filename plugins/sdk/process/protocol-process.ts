/**
 * Supervises one child process that speaks the protocol of a method table: carries requests and replies, and makes sure
 * that whatever happens to either side, every request settles and no process is left behind.
 */
import type { EscadaFailure } from '../contracts/failure.ts';
import type { ProcessExit, SpawnedChild } from './child.ts';
import type { ProcessFailures } from './failures.ts';
import { onEachLine } from './lines.ts';
import { LogRing } from './log-ring.ts';
import { replySchemaOf, type MethodOf, type MethodTable, type ParamsOf, type Reply } from './methods.ts';
import type { ReplySchema, ResultOf } from './methods.ts';
import { Operation, type OperationHost, type RequestOptions } from './operation.ts';

/** What the two sides agreed on, and what the supervisor calls its failures. */
export interface ProtocolSide<T extends MethodTable> {
  readonly version: number;
  readonly methods: T;
  readonly failures: ProcessFailures;
}

export interface ProtocolProcessOptions {
  /** Time between `cancel` (or closing) and SIGKILL. Default 5000. */
  readonly graceMs?: number;
  /** Called for each line of the child's log. */
  readonly onLog?: (line: string) => void;
}

/** Lines of the log that an error message shows. */
const SHOWN_LOG_LINES = 15;

/** Longest message: bulk data travels by file. */
const MAX_MESSAGE_CHARS = 16 * 1024 * 1024;

/** Longest line of a log; progress bars end theirs with carriage returns. */
const LOG_LINES = { end: /[\r\n]+/, maxChars: 64 * 1024 } as const;

export class ProtocolProcess<T extends MethodTable> {
  readonly #side: ProtocolSide<T>;
  readonly #replySchema: ReplySchema;
  readonly #child: SpawnedChild;
  readonly #log = new LogRing();
  readonly #operations = new Map<number, Operation<T>>();
  readonly #graceMs: number;
  readonly #host: OperationHost<T>;
  #nextId = 1;
  /** Why the process was asked to end, or what it said before it did. */
  #failure: EscadaFailure | undefined;
  #exit: ProcessExit | undefined;
  /** Fulfilled when the process is gone and everything it wrote has been read. Never rejects. */
  readonly ended: Promise<ProcessExit>;

  constructor(child: SpawnedChild, side: ProtocolSide<T>, options: ProtocolProcessOptions = {}) {
    this.#child = child;
    this.#side = side;
    this.#replySchema = replySchemaOf(side.version);
    this.#graceMs = options.graceMs ?? 5000;
    this.#host = this.#makeHost();
    this.ended = this.#listen(options.onLog);
    this.#child.hold(false);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** False once the process has ended or was asked to. */
  get alive(): boolean {
    return this.#exit === undefined && this.#failure === undefined;
  }

  /** The newest lines of the log, oldest first. */
  get lastLog(): readonly string[] {
    return this.#log.last(SHOWN_LOG_LINES);
  }

  /**
   * Sends one request and waits for its result. Throws the child's coded error, or the failures of its side: crash (with
   * exit code or signal and the last log lines), stall, cancel, protocol.
   */
  request<M extends MethodOf<T>>(
    method: M,
    params: ParamsOf<T, M>,
    options: RequestOptions<T, M> = {},
  ): Promise<ResultOf<T, M>> {
    const { failures } = this.#side;
    if (options.signal?.aborted === true)
      return Promise.reject(failures.cancel(method, options.signal.reason));
    if (!this.alive) return Promise.reject(this.#endFailure(method));
    const what = { id: this.#nextId++, method, graceMs: this.#graceMs };
    const operation = new Operation<T, M>(what, this.#host, options);
    this.#operations.set(what.id, operation);
    this.#child.hold(true);
    this.#send(what.id, method, params);
    return operation.promise.finally(() => this.#finished(what.id));
  }

  /** Asks the process to end (closes its requests) and waits; kills it after the grace. */
  async close(): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#failure ??= this.#side.failures.cancel('close', undefined);
    this.#child.hold(true);
    const timer = setTimeout(() => this.#child.kill(), this.#graceMs);
    this.#child.requests.end();
    await this.ended;
    clearTimeout(timer);
  }

  /** Kills the process and waits until it is gone. */
  async kill(failure?: EscadaFailure): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#failure ??= failure ?? this.#side.failures.cancel('kill', undefined, true);
    this.#child.hold(true);
    this.#child.kill();
    await this.ended;
  }

  #makeHost(): OperationHost<T> {
    return {
      methods: this.#side.methods,
      failures: this.#side.failures,
      lastLog: () => this.lastLog,
      cancel: (id) => this.#send(this.#nextId++, 'cancel', { target: id }),
      kill: (failure) => void this.kill(failure),
    };
  }

  #send(id: number, method: string, params: unknown): void {
    this.#child.requests.write(`${JSON.stringify({ v: this.#side.version, id, method, params })}\n`);
  }

  #listen(onLog: ProtocolProcessOptions['onLog']): Promise<ProcessExit> {
    const { requests, replies, logs } = this.#child;
    const note = (line: string): void => {
      if (line === '') return;
      this.#log.add(line);
      onLog?.(line);
    };
    for (const log of logs) onEachLine(log, note, LOG_LINES);
    const refuse = (line: string): void => void this.kill(this.#refusal(line));
    onEachLine(replies, (line) => this.#onReply(line), { maxChars: MAX_MESSAGE_CHARS, onTooLong: refuse });
    // A broken pipe means that the process is ending; `closed` says how.
    requests.on('error', () => undefined);
    replies.on('error', () => undefined);
    return this.#child.closed.then((exit) => {
      this.#exit = exit;
      for (const operation of [...this.#operations.values()])
        operation.reject(this.#endFailure(operation.method));
      return exit;
    });
  }

  #endFailure(method: string): EscadaFailure {
    if (this.#failure !== undefined) return this.#failure;
    const exit = this.#exit ?? { exitCode: null, signal: null };
    return this.#side.failures.crash(exit, this.lastLog, { method, pid: this.pid });
  }

  #refusal(line: string): EscadaFailure {
    return this.#side.failures.protocol('reply', line.slice(0, 200));
  }

  #onReply(line: string): void {
    const reply = this.#parseReply(line);
    if (reply === undefined) return void this.kill(this.#refusal(line));
    const { failures } = this.#side;
    if (reply.id === null) {
      if ('error' in reply) void this.kill(failures.reply(reply.error, { method: 'start' }));
      return;
    }
    // Replies to `cancel`, and to operations that were given up, have nobody waiting.
    const operation = this.#operations.get(reply.id);
    if (operation === undefined) return;
    if ('event' in reply) operation.event(reply.event);
    else if ('result' in reply) operation.result(reply.result);
    else operation.reject(failures.reply(reply.error, { method: operation.method }));
  }

  #parseReply(line: string): Reply | undefined {
    try {
      return this.#replySchema.parse(JSON.parse(line));
    } catch {
      return undefined;
    }
  }

  #finished(id: number): void {
    this.#operations.delete(id);
    if (this.#operations.size === 0) this.#child.hold(false);
  }
}

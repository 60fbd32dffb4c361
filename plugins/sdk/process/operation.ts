import { AsyncLocalStorage } from 'node:async_hooks';
import type { EscadaFailure } from '../contracts/failure.ts';
import { noteMovement, watchedElsewhere } from '../movement.ts';
import type { ProcessFailures } from './failures.ts';
import type { EventOf, MethodOf, MethodTable, ResultOf } from './methods.ts';

/** What a caller may add to a request. */
export interface RequestOptions<T extends MethodTable, M extends MethodOf<T>> {
  /** Aborting it cancels the operation; the process is killed when it does not stop within the grace. */
  readonly signal?: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: EventOf<T, M>) => void;
  /** Longest silence (no event, no reply) before the process is killed. Default: none. */
  readonly stallMs?: number;
}

/** What an operation asks of the process it runs in. */
export interface OperationHost<T extends MethodTable> {
  readonly methods: T;
  readonly failures: ProcessFailures;
  /** Newest lines of the log, for failures. */
  readonly lastLog: () => readonly string[];
  /** Asks the child to stop it. */
  readonly cancel: (id: number) => void;
  /** Ends the process; every operation in it fails with `failure`. */
  readonly kill: (failure: EscadaFailure) => void;
}

/** One request in flight: its promise, its watchdog and its cancellation. */
export class Operation<T extends MethodTable, M extends MethodOf<T> = MethodOf<T>> {
  readonly id: number;
  readonly method: M;
  readonly promise: Promise<ResultOf<T, M>>;
  #resolve: (result: ResultOf<T, M>) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  readonly #host: OperationHost<T>;
  readonly #options: RequestOptions<T, M>;
  readonly #graceMs: number;
  #stallTimer: NodeJS.Timeout | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #messages = 0;
  #settled = false;
  /** What the listener threw: the operation then ends with it. */
  #listenerError: { readonly error: unknown } | undefined;
  /** A step in which an operation runs that has a limit of its own is not watched beside it. */
  #release: () => void = () => undefined;
  /** The caller's async context. Messages arrive in that of whoever started the process, perhaps another activity. */
  readonly #inCallersContext = AsyncLocalStorage.snapshot();

  constructor(
    what: { id: number; method: M; graceMs: number },
    host: OperationHost<T>,
    options: RequestOptions<T, M>,
  ) {
    this.id = what.id;
    this.method = what.method;
    this.#graceMs = what.graceMs;
    this.#host = host;
    this.#options = options;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (options.stallMs !== undefined) this.#release = watchedElsewhere();
    this.#watch();
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Hands an event on. A listener that throws fails the operation, not the worker. */
  event(event: unknown): void {
    // What was sent behind the reply may be read with it.
    if (this.#settled) return;
    this.#watch();
    const parsed = this.#parse('event', event);
    if (parsed === undefined || this.#listenerError !== undefined) return;
    try {
      this.#inCallersContext(() => {
        noteMovement();
        this.#options.onEvent?.(parsed.data as EventOf<T, M>);
      });
    } catch (error) {
      this.#listenerError = { error };
      this.#cancel();
    }
  }

  /** Settles with the reply's result. */
  result(result: unknown): void {
    if (this.#settled) return;
    const parsed = this.#parse('result', result);
    if (parsed === undefined) return;
    if (this.#listenerError !== undefined) return this.reject(this.#listenerError.error);
    this.#settle();
    this.#resolve(parsed.data as ResultOf<T, M>);
  }

  reject(error: unknown): void {
    this.#settle();
    this.#reject(this.#listenerError === undefined ? error : this.#listenerError.error);
  }

  /** Checks what the child sent; kills the process and gives nothing when it does not fit. */
  #parse(what: 'event' | 'result', value: unknown): { readonly data: unknown } | undefined {
    const parsed = this.#host.methods[this.method]?.[what].safeParse(value);
    if (parsed?.success === true) return parsed;
    const problem = parsed?.error.message ?? `no method ${this.method}`;
    this.#host.kill(this.#host.failures.protocol(this.method, problem));
    return undefined;
  }

  readonly #onAbort = (): void => this.#cancel();

  #cancel(): void {
    this.#host.cancel(this.id);
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => {
      const { kill, failures } = this.#host;
      kill(failures.cancel(this.method, this.#options.signal?.reason, true));
    }, this.#graceMs);
  }

  #watch(): void {
    clearTimeout(this.#stallTimer);
    this.#messages += 1;
    const { stallMs } = this.#options;
    if (stallMs === undefined) return;
    const seen = this.#messages;
    // After a blocked event loop the timer runs before the messages that wait: let those be read first.
    this.#stallTimer = setTimeout(
      () => setImmediate(() => setImmediate(() => this.#checkStall(seen))),
      stallMs,
    );
  }

  #checkStall(seen: number): void {
    const { stallMs } = this.#options;
    if (this.#stallTimer === undefined || seen !== this.#messages || stallMs === undefined) return;
    const { kill, failures, lastLog } = this.#host;
    kill(failures.stall(this.method, stallMs, lastLog()));
  }

  #settle(): void {
    this.#settled = true;
    this.#release();
    clearTimeout(this.#stallTimer);
    clearTimeout(this.#graceTimer);
    this.#stallTimer = undefined;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }
}

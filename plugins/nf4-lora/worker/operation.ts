import { AsyncLocalStorage } from 'node:async_hooks';
import type { EscadaFailure } from '../../api/failure.ts';
import { METHODS, type EventOf, type Method, type ResultOf } from './protocol.ts';
import { protocolFailure } from './engine-errors.ts';

/** What a caller may add to a request. */
export interface RequestOptions<M extends Method> {
  /** Aborting it cancels the operation; the process is killed when it does not stop within the grace. */
  readonly signal?: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: EventOf<M>) => void;
  /** Longest silence (no event, no reply) before the process is killed. Default: none. */
  readonly stallMs?: number;
}

/** What an operation asks of the process it runs in. */
export interface OperationHost {
  /** Asks the child to stop it. */
  cancel(id: number): void;
  /** Ends the process; every operation in it fails with `failure`. */
  kill(failure: EscadaFailure): void;
  stalled(method: Method, stallMs: number): EscadaFailure;
  cancelled(method: Method, reason: unknown): EscadaFailure;
}

/** One request in flight: its promise, its watchdog and its cancellation. */
export class Operation<M extends Method = Method> {
  readonly id: number;
  readonly method: M;
  readonly promise: Promise<ResultOf<M>>;
  #resolve: (result: ResultOf<M>) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  readonly #host: OperationHost;
  readonly #options: RequestOptions<M>;
  readonly #graceMs: number;
  #stallTimer: NodeJS.Timeout | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #messages = 0;
  /** What the listener threw: the operation then ends with it. */
  #listenerError: { readonly error: unknown } | undefined;
  /** The caller's async context. Messages arrive in that of whoever started the process, perhaps another activity. */
  readonly #inCallersContext = AsyncLocalStorage.snapshot();

  constructor(
    what: { id: number; method: M; graceMs: number },
    host: OperationHost,
    options: RequestOptions<M>,
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
    this.#watch();
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Hands an event on. A listener that throws fails the operation, not the worker. */
  event(event: unknown): void {
    this.#watch();
    const parsed = METHODS[this.method].event.safeParse(event);
    if (!parsed.success) return this.#host.kill(protocolFailure(this.method, parsed.error.message));
    if (this.#listenerError !== undefined) return;
    try {
      this.#inCallersContext(() => this.#options.onEvent?.(parsed.data as EventOf<M>));
    } catch (error) {
      this.#listenerError = { error };
      this.#cancel();
    }
  }

  /** Settles with the reply's result. */
  result(result: unknown): void {
    const parsed = METHODS[this.method].result.safeParse(result);
    if (!parsed.success) return this.#host.kill(protocolFailure(this.method, parsed.error.message));
    if (this.#listenerError !== undefined) return this.reject(this.#listenerError.error);
    this.#settle();
    this.#resolve(parsed.data as ResultOf<M>);
  }

  reject(error: unknown): void {
    this.#settle();
    this.#reject(this.#listenerError === undefined ? error : this.#listenerError.error);
  }

  readonly #onAbort = (): void => this.#cancel();

  #cancel(): void {
    this.#host.cancel(this.id);
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => {
      this.#host.kill(this.#host.cancelled(this.method, this.#options.signal?.reason));
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
    this.#host.kill(this.#host.stalled(this.method, stallMs));
  }

  #settle(): void {
    clearTimeout(this.#stallTimer);
    clearTimeout(this.#graceTimer);
    this.#stallTimer = undefined;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }
}

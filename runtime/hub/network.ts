import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { TransientError } from './failures.ts';

/** Ends a connection that is silent for too long; `signal` ends it too. */
export class IdleTimer {
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  readonly #idleMs: number;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuter = (): void => this.#own.abort(this.#outer?.reason);
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, signal?: AbortSignal) {
    this.#idleMs = idleMs;
    this.signal = this.#own.signal;
    this.#outer = signal;
    signal?.addEventListener('abort', this.#onOuter);
    if (signal?.aborted === true) this.#onOuter();
    this.touch();
  }

  /** The connection gave a sign of life. */
  touch(): void {
    clearTimeout(this.#timer);
    const fault = new TransientError(`no data came for ${this.#idleMs / 1000} s`);
    this.#timer = setTimeout(() => this.#own.abort(fault), this.#idleMs);
    // The connection keeps the program alive, not the watch over it.
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onOuter);
  }
}

/**
 * `work`, or the reason of the signal if that comes first. An aborted body does not always settle the read that waits
 * for it.
 */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Codes that mean: this machine has no way to any server. */
const OFFLINE = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * What a failed `fetch`, or a body that broke off, means. A failure of our own is returned unchanged. The address is given
 * without its query, which may hold a signature.
 */
export function networkFault(error: unknown, url: URL): Error {
  if (error instanceof TransientError || isEscadaFailure(error)) return error;
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  const code = cause?.code ?? cause?.message ?? message ?? 'unknown fault';
  const isCertificate = /CERT|SSL|TLS|SELF_SIGNED/.test(code);
  const hint = isCertificate ? '; NODE_EXTRA_CA_CERTS names the certificates of your own network' : '';
  return new TransientError(`the connection to ${url.host} failed: ${code}${hint}`, {
    isOffline: OFFLINE.has(code) || isCertificate,
    cause: error,
  });
}

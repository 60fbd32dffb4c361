import { isEscadaFailure } from '../../api/failure.ts';
import { PassingFault } from './failures.ts';

/** Ends a connection that is silent for too long; `signal` ends it too. */
export class IdleTimer {
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  readonly #idleMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, signal?: AbortSignal) {
    this.#idleMs = idleMs;
    this.signal = signal === undefined ? this.#own.signal : AbortSignal.any([signal, this.#own.signal]);
    this.touch();
  }

  /** The connection gave a sign of life. */
  touch(): void {
    clearTimeout(this.#timer);
    const fault = new PassingFault(`no data came for ${this.#idleMs / 1000} s`);
    this.#timer = setTimeout(() => this.#own.abort(fault), this.#idleMs);
    // The connection keeps the program alive, not the watch over it.
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
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
 * What a failed `fetch`, or a body that broke off, means. A failure of our own goes on as it is. The address is given
 * without its query, which may hold a signature.
 */
export function networkFault(error: unknown, url: URL): Error {
  if (error instanceof PassingFault || isEscadaFailure(error)) return error;
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  const code = cause?.code ?? cause?.message ?? message ?? 'unknown fault';
  const isCertificate = /CERT|SSL|TLS|SELF_SIGNED/.test(code);
  const hint = isCertificate ? '; NODE_EXTRA_CA_CERTS names the certificates of your own network' : '';
  return new PassingFault(`the connection to ${url.host} failed: ${code}${hint}`, {
    isOffline: OFFLINE.has(code) || isCertificate,
    cause: error,
  });
}

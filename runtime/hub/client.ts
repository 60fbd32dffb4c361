// Requests to the hub. Redirects are followed here and not by fetch: the answer that redirects names the file's
// ETag, and the token must stay with the hub when the file itself comes from a host of its storage.
import { setTimeout as sleep } from 'node:timers/promises';
import { answerFailure, TransientError, unreachableFailure } from './failures.ts';
import { HubAnswer } from './hub-answer.ts';
import { IdleTimer, networkFault, orAborted } from './network.ts';
import type { HubSettings } from './settings.ts';

/** What a pull reports while it runs. */
export type PullEvent =
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'wait'; readonly reason: string; readonly seconds: number }
  | {
      readonly kind: 'plan';
      readonly folder: string;
      readonly commit: string;
      readonly files: number;
      readonly totalBytes: number;
      readonly leftBytes: number;
    }
  | { readonly kind: 'file'; readonly name: string; readonly sizeBytes: number }
  | {
      readonly kind: 'progress';
      /** Bytes at hand, those of an earlier attempt included. */
      readonly doneBytes: number;
      readonly totalBytes: number;
      /** Bytes that came over the network so far. */
      readonly receivedBytes: number;
    };

export interface HubClientOptions {
  readonly settings: HubSettings;
  readonly report: (event: PullEvent) => void;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence of a connection. Default: a minute. */
  readonly idleMs?: number | undefined;
  /** Waits between tries; tests replace it. */
  readonly wait?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

const COMMON_HEADERS = { 'user-agent': 'escada', 'accept-encoding': 'identity' };
const MAX_REDIRECTS = 5;
const MAX_FAULTS = 5;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 30_000;
/** A server that asks for more patience than this gets none: the user may come back later. */
const MAX_ASKED_WAIT_MS = 300_000;
const IDLE_MS = 60_000;

/** One pull's conversation with one hub. */
export class HubClient {
  readonly settings: HubSettings;
  readonly report: (event: PullEvent) => void;
  readonly #options: HubClientOptions;
  /** Whether any server answered so far; shared with the clients of `until`. */
  readonly #contact: { wasMade: boolean };

  constructor(options: HubClientOptions, contact = { wasMade: false }) {
    this.settings = options.settings;
    this.report = options.report;
    this.#options = options;
    this.#contact = contact;
  }

  /** The same conversation, ended by `signal` too. */
  until(signal: AbortSignal): HubClient {
    const { signal: own } = this.#options;
    const both = own === undefined ? signal : AbortSignal.any([own, signal]);
    return new HubClient({ ...this.#options, signal: both }, this.#contact);
  }

  /** An address under the endpoint; `path` is already escaped. */
  url(path: string): URL {
    return new URL(`${this.settings.endpoint}/${path}`);
  }

  /**
   * One GET, redirects followed; any status comes back. Throws `TransientError` when the network fails, and
   * `HUB_ANSWER_INVALID` for redirects that lead nowhere.
   */
  async get(first: URL, headers: Readonly<Record<string, string>> = {}): Promise<HubAnswer> {
    const idle = new IdleTimer(this.#options.idleMs ?? IDLE_MS, this.#options.signal);
    let [url, isTrusted, linkedEtag]: [URL, boolean, string | null] = [first, true, null];
    try {
      for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
        // Once away from the hub, the token stays at home even if a redirect leads back.
        isTrusted &&= url.origin === this.settings.origin;
        const request = fetch(url, {
          headers: { ...COMMON_HEADERS, ...headers, ...this.#identity(isTrusted) },
          redirect: 'manual',
          signal: idle.signal,
        });
        const response = await orAborted(request, idle.signal);
        this.#contact.wasMade = true;
        idle.touch();
        if (isTrusted) linkedEtag = response.headers.get('x-linked-etag') ?? linkedEtag;
        const location = redirectOf(response);
        if (location === null) return new HubAnswer({ response, url, isHub: isTrusted, linkedEtag, idle });
        void response.body?.cancel().catch(() => undefined);
        url = nextUrl(url, location);
      }
    } catch (error) {
      idle.stop();
      this.#options.signal?.throwIfAborted();
      throw networkFault(error, url);
    }
    idle.stop();
    throw answerFailure(`more than ${MAX_REDIRECTS} redirects from ${first.pathname}`);
  }

  /**
   * Runs `work` until it succeeds. Transient errors are retried with backoff, five in a row at most; `work` calls its
   * argument when it made progress, which resets the count. Throws `HUB_UNREACHABLE`.
   */
  async retrying<T>(what: string, work: (madeProgress: () => void) => Promise<T>): Promise<T> {
    let faults = 0;
    for (;;) {
      try {
        return await work(() => (faults = 0));
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (!(error instanceof TransientError)) throw error;
        faults += 1;
        const asked = error.retryAfterMs;
        const isPermanent = error.isOffline && !this.#contact.wasMade;
        if (isPermanent || faults > MAX_FAULTS || (asked ?? 0) > MAX_ASKED_WAIT_MS) {
          throw unreachableFailure(what, error, this.settings.endpoint);
        }
        await this.#pause(asked ?? backoffMs(faults), `${what}: ${error.message}`);
      }
    }
  }

  async #pause(ms: number, reason: string): Promise<void> {
    const { signal, wait = (time, until) => sleep(time, undefined, { signal: until }) } = this.#options;
    this.report({ kind: 'wait', reason, seconds: Math.ceil(ms / 1000) });
    await wait(ms, signal);
  }

  #identity(isTrusted: boolean): Record<string, string> {
    const { token } = this.settings;
    return isTrusted && token !== null ? { authorization: `Bearer ${token}` } : {};
  }
}

/** Doubles from a second; up to a quarter is chance, so that several clients do not come back at once. */
function backoffMs(faults: number): number {
  const ms = Math.min(FIRST_WAIT_MS * 2 ** (faults - 1), MAX_WAIT_MS);
  return Math.round(ms * (1 - Math.random() / 4));
}

function redirectOf({ status, headers }: Response): string | null {
  const isRedirect = [301, 302, 303, 307, 308].includes(status);
  return isRedirect ? headers.get('location') : null;
}

/** Where a redirect leads; never from https to http. Throws `HUB_ANSWER_INVALID`. */
export function nextUrl(from: URL, location: string): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : null;
  const isWeb = url?.protocol === 'https:' || (url?.protocol === 'http:' && from.protocol === 'http:');
  if (url !== null && isWeb && url.username === '' && url.password === '') return url;
  throw answerFailure(`a redirect from ${from.host} does not lead to an https address`);
}

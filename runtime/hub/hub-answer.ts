import { answerFailure, TransientError } from './failures.ts';
import { networkFault, orAborted, type IdleTimer } from './network.ts';

interface Parts {
  readonly response: Response;
  readonly url: URL;
  /** Whether the hub itself answered, not a host of its storage. */
  readonly isHub: boolean;
  readonly linkedEtag: string | null;
  readonly idle: IdleTimer;
}

/** Statuses that a later try may change. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** One answer, with its body still to come. Either read the body or call `drop`. */
export class HubAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly isHub: boolean;
  /** Names the file's content: the ETag of the linked file, else of the hub's own answer; `null` if neither has one. */
  readonly etag: string | null;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.status = parts.response.status;
    this.headers = parts.response.headers;
    this.isHub = parts.isHub;
    this.etag = parts.linkedEtag ?? (parts.isHub ? this.headers.get('etag') : null);
  }

  /**
   * The body, chunk by chunk. Throws `TransientError` when the connection breaks off.
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const { response, url, idle } = this.#parts;
    const reader = response.body?.getReader();
    try {
      for (;;) {
        const next = await orAborted(Promise.resolve(reader?.read()), idle.signal);
        if (next === undefined || next.done) return;
        idle.touch();
        yield next.value;
      }
    } catch (error) {
      throw networkFault(idle.signal.aborted ? idle.signal.reason : error, url);
    } finally {
      idle.stop();
      void reader?.cancel().catch(() => undefined);
    }
  }

  /** A JSON body of at most `mostBytes`. Throws `HUB_ANSWER_INVALID`. */
  async json(mostBytes: number): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.chunks()) {
      sizeBytes += chunk.length;
      if (sizeBytes > mostBytes) throw answerFailure(`a listing is larger than ${mostBytes} bytes`);
      chunks.push(chunk);
    }
    try {
      return JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch (cause) {
      throw answerFailure(`${this.#parts.url.pathname} is not JSON`, {}, cause);
    }
  }

  /** Gives the body up. */
  drop(): void {
    this.#parts.idle.stop();
    void this.#parts.response.body?.cancel().catch(() => undefined);
  }

  /** The fault if a later try may go well, else `null`. */
  transientError(): TransientError | null {
    const { status } = this;
    const host = this.#parts.url.host;
    // An address of the storage carries a signature that runs out; the hub gives a fresh one.
    const hasRunOut = !this.isHub && [400, 401, 403, 404, 410].includes(status);
    if (!PASSING.has(status) && !hasRunOut) return null;
    const reason = status === 429 ? 'too many requests' : `HTTP ${status}`;
    return new TransientError(`${host} answers ${reason}`, { retryAfterMs: retryAfterMs(this.headers) });
  }
}

/** `Retry-After` in seconds or as a date, else the time left of the hub's own `RateLimit`. */
function retryAfterMs(headers: Headers): number | null {
  const after = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(after)) return Number(after) * 1000;
  const date = after === '' ? Number.NaN : Date.parse(after);
  if (!Number.isNaN(date)) return Math.max(0, date - Date.now());
  const left = /;\s*r=0\s*;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  return left === undefined ? null : Number(left) * 1000;
}

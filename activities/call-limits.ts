import type { LanguageModelProviderV1 } from '../plugins/sdk/contracts/language-model.ts';

/** Rows of one call of a billable model whose provider declares no number. */
export const DEFAULT_BILLABLE_ROWS_PER_CALL = 16;

/** How the requests of steps become calls of a provider. */
export interface CallLimits {
  readonly rowsPerCall: number;
  /** Calls that one request has in flight. */
  readonly callsPerRequest: number;
  /** Shared by all steps of this worker. */
  readonly permits: CallPermits;
}

type Declared = Pick<LanguageModelProviderV1, 'billable' | 'rowsPerCall' | 'maxConcurrentCalls'>;

const permitsByProvider = new WeakMap<Declared, CallPermits>();

/** The limits of a provider; null where its models get every request as it is. */
export function callLimitsOf(provider: Declared): CallLimits | null {
  const { billable, maxConcurrentCalls } = provider;
  const rowsPerCall = provider.rowsPerCall ?? (billable ? DEFAULT_BILLABLE_ROWS_PER_CALL : Infinity);
  if (rowsPerCall === Infinity && maxConcurrentCalls === undefined) return null;
  const permits = permitsByProvider.get(provider) ?? new CallPermits(maxConcurrentCalls ?? Infinity);
  permitsByProvider.set(provider, permits);
  return { rowsPerCall, callsPerRequest: maxConcurrentCalls ?? 1, permits };
}

/** A counting semaphore; those that wait get their turn in the order in which they came. */
export class CallPermits {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs the work while it holds a permit. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

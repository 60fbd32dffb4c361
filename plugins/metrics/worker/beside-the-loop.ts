import { moduleUrl } from '../../sdk/package-paths.ts';
import { Slices } from '../../sdk/slices.ts';
import { ThreadPool } from '../../sdk/thread-pool.ts';
import { EscadaFailure, isEscadaFailure } from '../../sdk/contracts/failure.ts';
import type { MetricFactoryV1, MetricV1, MetricWork, NamedMetricRow } from '../../sdk/contracts/metric.ts';
import type { MetricAnswer, MetricJob, MetricThreadSettings } from './metric-thread.ts';
import { partsOf } from './parted-metric.ts';

/** Characters that a metric without parts scores on the event loop: starting a thread would take longer. */
const MAX_INLINE_CHARS = 200_000;
/** Most rows and about the most characters that go to a thread at once. */
const JOB_ROWS = 256;
const JOB_CHARS = 1_000_000;
/** How often within its time a row is looked after. Looks are counted, so that a process that stood still judges nobody. */
const LOOKS = 10;

type Statistics = readonly (readonly number[])[];

/** A factory of this plugin whose metrics score many rows beside the event loop, each within `rowTimeoutMs`. */
export function besideTheLoop(factory: MetricFactoryV1, rowTimeoutMs: number): MetricFactoryV1 {
  return {
    ...factory,
    create: (options) => {
      const metric = factory.create(options);
      return {
        ...metric,
        doRows: (rows, work) =>
          partsOf(metric).length === 0 && rows.reduce((sum, row) => sum + charsOf(row), 0) <= MAX_INLINE_CHARS
            ? inSlices(metric, rows, work)
            : new ScoringThread(metric, options, rowTimeoutMs, rows).score(work),
      };
    },
  };
}

function charsOf({ input, prediction, reference }: NamedMetricRow): number {
  return input.length + prediction.length + reference.length;
}

async function inSlices(
  metric: MetricV1,
  rows: readonly NamedMetricRow[],
  { signal }: MetricWork,
): Promise<Statistics> {
  const slices = new Slices(signal);
  const statistics: (readonly number[])[] = [];
  for (const row of rows) {
    statistics.push(metric.doRow(row));
    await slices.turn();
  }
  return statistics;
}

/** One thread for the rows of one call. */
class ScoringThread {
  readonly #metric: MetricV1;
  readonly #options: unknown;
  readonly #rowTimeoutMs: number;
  readonly #rows: readonly NamedMetricRow[];
  readonly #place = new Int32Array(new SharedArrayBuffer(8));
  readonly #tooLong = new AbortController();

  constructor(metric: MetricV1, options: unknown, rowTimeoutMs: number, rows: readonly NamedMetricRow[]) {
    this.#metric = metric;
    this.#options = options;
    this.#rowTimeoutMs = rowTimeoutMs;
    this.#rows = rows;
  }

  async score(work: MetricWork): Promise<Statistics> {
    work.signal.throwIfAborted();
    const settings: MetricThreadSettings = {
      id: this.#metric.id,
      options: this.#options,
      place: this.#place,
    };
    const module = moduleUrl('./metric-thread.ts', import.meta.url);
    const either = AbortSignal.any([work.signal, this.#tooLong.signal]);
    const pool = new ThreadPool<MetricJob, MetricAnswer>(module, settings, 1, either);
    const watch = this.#watch();
    const statistics: (readonly number[])[] = [];
    try {
      for (const job of jobsOf(this.#rows)) {
        statistics.push(...this.#statisticsIn(await pool.run(job)));
        work.onProgress(statistics.length);
      }
      return statistics;
    } catch (error) {
      if (either.aborted || isEscadaFailure(error)) throw error;
      throw this.#failure(`the thread that scored it ended: ${String(error)}`, error);
    } finally {
      clearInterval(watch);
      await pool.close();
    }
  }

  #statisticsIn(answer: MetricAnswer): Statistics {
    if ('statistics' in answer) return answer.statistics;
    throw this.#failure(answer.problem);
  }

  /** Ends the thread when it stays at one row for too long. */
  #watch(): NodeJS.Timeout {
    let [row, looks] = [0, 0];
    return setInterval(() => {
      const now = Atomics.load(this.#place, 0);
      looks = now === row ? looks + 1 : 0;
      row = now;
      if (row > 0 && looks >= LOOKS)
        this.#tooLong.abort(this.#failure(`it takes more than ${this.#rowTimeoutMs} ms`));
    }, this.#rowTimeoutMs / LOOKS);
  }

  /** Names the row, and the part of the metric, that the thread works on. */
  #failure(why: string, cause?: unknown): EscadaFailure {
    const [row, part] = [Atomics.load(this.#place, 0), Atomics.load(this.#place, 1)];
    const metric = this.#metric.id;
    const rowId = this.#rows[row - 1]?.id ?? null;
    const rule = partsOf(this.#metric)[part] ?? null;
    const message = `Metric ${metric}${rule === null ? '' : `, ${rule}`}${rowId === null ? '' : `, row ${JSON.stringify(rowId)}`}: ${why}.`;
    return new EscadaFailure({ code: 'METRIC_FAILED', message, fields: { metric, rule, rowId }, cause });
  }
}

function* jobsOf(rows: readonly NamedMetricRow[]): Generator<MetricJob> {
  let first = 0;
  while (first < rows.length) {
    let [count, chars] = [0, 0];
    while (count < JOB_ROWS && chars < JOB_CHARS && first + count < rows.length) {
      chars += charsOf(rows[first + count] as NamedMetricRow);
      count += 1;
    }
    yield { first, rows: rows.slice(first, first + count) };
    first += count;
  }
}

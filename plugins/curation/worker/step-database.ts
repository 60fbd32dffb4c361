import type { DuckDBAppender, DuckDBConnection, DuckDBInstance, DuckDBResultReader } from '@duckdb/node-api';
import { whileWatchedElsewhere } from '../../sdk/movement.ts';
import type { StepContext } from '../../sdk/contracts/step-kind.ts';
import type { CurationOptions } from '../options.ts';
import { diskFailure, limitSpill, lockDown, openInstance } from './database-instance.ts';
import { MACROS } from './sql.ts';

/** What a row may hold here. Big integers come as `bigint`. */
export type Cell = string | number | bigint | boolean | null;
export type Row = Record<string, Cell>;

/** An interruption between two statements is lost, so it is repeated until the work has ended. */
const INTERRUPT_MS = 50;

/**
 * One in-memory database of one step. Statements stop when the step is cancelled; how long one may take is bounded by the
 * step's own time-out only, since the table engine gives no signs of life.
 */
export class StepDatabase {
  readonly #instance: DuckDBInstance;
  readonly #signal: AbortSignal;
  readonly #report: (phase: string) => void;
  readonly #connections: DuckDBConnection[] = [];
  #phase = 'starting';

  constructor(
    instance: DuckDBInstance,
    { signal, report }: { readonly signal: AbortSignal; readonly report: (phase: string) => void },
  ) {
    this.#instance = instance;
    this.#signal = signal;
    this.#report = report;
    report(this.#phase);
  }

  /** What the step is doing, for heartbeats. */
  get phase(): string {
    return this.#phase;
  }

  set phase(phase: string) {
    this.#phase = phase;
    this.#report(phase);
  }

  /** A further connection to the same tables: a connection that streams can do nothing else. */
  async connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect();
    this.#connections.push(connection);
    return connection;
  }

  async #main(): Promise<DuckDBConnection> {
    this.#signal.throwIfAborted();
    return this.#connections[0] ?? (await this.connect());
  }

  async run(sql: string): Promise<void> {
    const connection = await this.#main();
    await whileWatchedElsewhere(() => connection.run(sql));
  }

  async #readAll(sql: string): Promise<DuckDBResultReader> {
    const connection = await this.#main();
    return await whileWatchedElsewhere(() => connection.runAndReadAll(sql));
  }

  async rows(sql: string): Promise<Row[]> {
    const reader = await this.#readAll(sql);
    return reader.getRowObjectsJS() as Row[];
  }

  /** The columns of a result, each as one list. */
  async columns(sql: string): Promise<Record<string, Cell[]>> {
    const reader = await this.#readAll(sql);
    return reader.getColumnsObjectJS() as Record<string, Cell[]>;
  }

  /** The only value of a result of one row, as a number. */
  async number(sql: string): Promise<number> {
    const [row] = await this.rows(sql);
    return Number(Object.values(row ?? {})[0]);
  }

  /** Rows in pieces of a few thousand, without holding the whole result. */
  async *stream(sql: string): AsyncGenerator<Row[]> {
    this.#signal.throwIfAborted();
    const connection = await this.connect();
    const result = await whileWatchedElsewhere(() => connection.stream(sql));
    const pieces = result.yieldRowObjectJs();
    for (;;) {
      const next = await whileWatchedElsewhere(() => pieces.next());
      this.#signal.throwIfAborted();
      if (next.done === true) return;
      yield next.value as Row[];
    }
  }

  async appender(table: string): Promise<DuckDBAppender> {
    return await (await this.#main()).createAppender(table);
  }

  interrupt(): void {
    for (const connection of this.#connections) connection.interrupt();
  }

  close(): void {
    for (const connection of this.#connections) connection.closeSync();
    this.#instance.closeSync();
  }
}

/**
 * Runs `work` with a database whose memory and spill are bounded, which opens files of the step's scratch folder, of the
 * store and of `reads` only, never loads extensions and never touches the network. When the step is
 * cancelled, the running statement is interrupted and the signal's reason is thrown. Throws `DISK_FULL`.
 */
export async function withDatabase<T>(
  context: StepContext,
  options: CurationOptions,
  work: (database: StepDatabase) => Promise<T>,
  reads: readonly string[] = [],
): Promise<T> {
  context.signal.throwIfAborted();
  const database = new StepDatabase(await openInstance(context.scratchDir, options), {
    signal: context.signal,
    report: (phase) => context.heartbeat({ phase }),
  });
  const stop = setInterval(() => {
    if (context.signal.aborted) database.interrupt();
  }, INTERRUPT_MS);
  const interrupt = (): void => database.interrupt();
  context.signal.addEventListener('abort', interrupt);
  try {
    for (const macro of MACROS) await database.run(macro);
    const run = async (sql: string): Promise<void> => await database.run(sql);
    await limitSpill(run, context.scratchDir, options);
    await lockDown(run, [context.scratchDir, ...context.store.readableRoots], reads);
    return await work(database);
  } catch (error) {
    throw context.signal.aborted ? context.signal.reason : (diskFailure(error, context.scratchDir) ?? error);
  } finally {
    clearInterval(stop);
    context.signal.removeEventListener('abort', interrupt);
    database.close();
  }
}

import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api';
import type { StepContext } from '../../api/step-kind.ts';
import type { CurationOptions } from '../options.ts';
import { MACROS } from './sql.ts';

/** What a row may hold here. Big integers come as `bigint`. */
export type Cell = string | number | bigint | boolean | null;
export type Row = Record<string, Cell>;

/** Well inside the heartbeat time-out, so that a busy engine is never taken for a dead one. */
const BEAT_MS = 2500;
/** An interruption between two statements is lost, so it is repeated until the work has ended. */
const INTERRUPT_MS = 50;

/** One in-memory database of one step. Statements stop when the step is cancelled. */
export class Duck {
  /** What the step is doing, for heartbeats. */
  phase = 'starting';
  readonly #instance: DuckDBInstance;
  readonly #signal: AbortSignal;
  readonly #connections: DuckDBConnection[] = [];

  constructor(instance: DuckDBInstance, signal: AbortSignal) {
    this.#instance = instance;
    this.#signal = signal;
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
    await (await this.#main()).run(sql);
  }

  async rows(sql: string): Promise<Row[]> {
    const reader = await (await this.#main()).runAndReadAll(sql);
    return reader.getRowObjectsJS() as Row[];
  }

  /** The columns of a result, each as one list. */
  async columns(sql: string): Promise<Record<string, Cell[]>> {
    const reader = await (await this.#main()).runAndReadAll(sql);
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
    const result = await connection.stream(sql);
    for await (const rows of result.yieldRowObjectJs()) {
      this.#signal.throwIfAborted();
      yield rows as Row[];
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
 * Runs `work` with a database whose memory is bounded, which spills into the step's scratch folder, never loads
 * extensions and never touches the network. Heartbeats while it works; when the step is cancelled, the running
 * statement is interrupted and the signal's reason is thrown.
 */
export async function withDuck<T>(
  context: StepContext,
  options: CurationOptions,
  work: (duck: Duck) => Promise<T>,
): Promise<T> {
  context.signal.throwIfAborted();
  const duck = new Duck(await openInstance(context.scratchDir, options), context.signal);
  const beat = setInterval(() => context.heartbeat({ phase: duck.phase }), BEAT_MS);
  const stop = setInterval(() => {
    if (context.signal.aborted) duck.interrupt();
  }, INTERRUPT_MS);
  const interrupt = (): void => duck.interrupt();
  context.signal.addEventListener('abort', interrupt);
  try {
    for (const macro of MACROS) await duck.run(macro);
    return await work(duck);
  } catch (error) {
    throw context.signal.aborted ? context.signal.reason : error;
  } finally {
    clearInterval(beat);
    clearInterval(stop);
    context.signal.removeEventListener('abort', interrupt);
    duck.close();
  }
}

async function openInstance(scratchDir: string, options: CurationOptions): Promise<DuckDBInstance> {
  const temporary = join(scratchDir, 'duckdb');
  await mkdir(temporary, { recursive: true });
  return await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryLimitMiB}MiB`,
    threads: String(options.threads ?? Math.min(4, availableParallelism())),
    temp_directory: temporary,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  });
}

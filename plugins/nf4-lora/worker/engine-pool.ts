import { isEscadaFailure } from '../../sdk/contracts/failure.ts';
import { whileWatchedElsewhere } from '../../sdk/movement.ts';
import { cancelFailure } from './engine-errors.ts';
import { EngineProcess, type EngineProcessOptions } from './engine-process.ts';
import { USUAL } from '../model-options.ts';
import { modelKey, type ModelSource } from './model-key.ts';
import { Permit } from './permit.ts';
import type { ResultOf } from './protocol.ts';

/** A process with its model in memory. */
export interface LoadedEngine {
  readonly process: EngineProcess;
  readonly hello: ResultOf<'hello'>;
  readonly model: ResultOf<'load'>;
}

export interface EnginePoolOptions extends EngineProcessOptions {
  /** Idle time after which a process is closed. Default 120000. */
  readonly idleMs?: number;
  /** Warm processes at a time; the one unused for longest makes room. Default 2. */
  readonly maxProcesses?: number;
  /** Longest silence of an engine that loads a model, before it is killed. Default 900000. */
  readonly stallMs?: number;
  /** Cores the engine may use. Default: all. */
  readonly threads?: number;
}

interface Warm extends LoadedEngine {
  idleTimer: NodeJS.Timeout | undefined;
}

/**
 * The engines of one device. Whoever uses one holds the device's only permit (first come, first served), so that
 * generation and training share one loaded model and never the cores. A process that fails is replaced for the next.
 */
export class EnginePool {
  readonly #options: EnginePoolOptions;
  readonly #permit = new Permit();
  readonly #closing = new AbortController();
  /** In the order of last use, oldest first. */
  readonly #warm = new Map<string, Warm>();

  constructor(options: EnginePoolOptions = {}) {
    this.#options = options;
  }

  /**
   * Waits for the device, makes sure that the model is loaded, and runs `work` with it.
   * Throws what `EngineProcess` throws, `MODEL_NOT_FOUND`, and `ENGINE_CANCELLED` when the wait was given up.
   */
  async use<T>(
    source: ModelSource,
    signal: AbortSignal | undefined,
    work: (engine: LoadedEngine) => Promise<T>,
  ): Promise<T> {
    const either = AbortSignal.any(
      signal === undefined ? [this.#closing.signal] : [signal, this.#closing.signal],
    );
    const release = await this.#acquire(either);
    try {
      return await this.#runWith(await modelKey(source), source, either, work);
    } finally {
      release();
    }
  }

  /** Starts a process for its handshake alone: no model is loaded, and the process is ended. Throws what `EngineProcess.start` throws. */
  async probe(signal: AbortSignal): Promise<ResultOf<'hello'>> {
    const engine = await EngineProcess.start(this.#options, AbortSignal.any([signal, this.#closing.signal]));
    await engine.close();
    return engine.hello;
  }

  /** Ends every process. Later uses throw `ENGINE_CANCELLED`. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the engine pool was closed'));
    const all = [...this.#warm.keys()];
    await Promise.all(all.map((key) => this.#retire(key)));
  }

  async #acquire(signal: AbortSignal): Promise<() => void> {
    try {
      // Others may use the device for days.
      return await whileWatchedElsewhere(() => this.#permit.acquire(signal));
    } catch (reason) {
      throw cancelFailure('acquire', reason);
    }
  }

  async #runWith<T>(
    key: string,
    source: ModelSource,
    signal: AbortSignal,
    work: (engine: LoadedEngine) => Promise<T>,
  ): Promise<T> {
    const engine = await this.#ready(key, source, signal);
    try {
      return await work(engine);
    } catch (error) {
      // State behind a broken invariant is not to be trusted.
      if (isEscadaFailure(error) && error.code === 'ENGINE_INTERNAL') await engine.process.kill();
      throw error;
    } finally {
      if (engine.process.alive) this.#rest(key, engine);
      else this.#warm.delete(key);
    }
  }

  async #ready(key: string, source: ModelSource, signal: AbortSignal): Promise<Warm> {
    const known = this.#warm.get(key);
    clearTimeout(known?.idleTimer);
    this.#warm.delete(key);
    if (known?.process.alive === true) {
      this.#warm.set(key, known);
      return known;
    }
    await this.#makeRoom();
    const process = await EngineProcess.start(this.#options, signal);
    const model = await this.#load(process, source, signal);
    const engine: Warm = { process, hello: process.hello, model, idleTimer: undefined };
    this.#warm.set(key, engine);
    return engine;
  }

  async #load(process: EngineProcess, source: ModelSource, signal: AbortSignal): Promise<ResultOf<'load'>> {
    const params = {
      path: source.path,
      weightFormat: source.weightFormat,
      ...(source.quantization ?? USUAL),
      threads: this.#options.threads,
    };
    try {
      return await process.request('load', params, { signal, stallMs: this.#options.stallMs ?? 900_000 });
    } catch (error) {
      await process.kill();
      throw error;
    }
  }

  async #makeRoom(): Promise<void> {
    const most = this.#options.maxProcesses ?? 2;
    while (this.#warm.size >= most) {
      const [oldest] = this.#warm.keys();
      if (oldest === undefined) return;
      await this.#retire(oldest);
    }
  }

  #rest(key: string, engine: Warm): void {
    engine.idleTimer = setTimeout(() => void this.#retire(key), this.#options.idleMs ?? 120_000);
    engine.idleTimer.unref();
  }

  async #retire(key: string): Promise<void> {
    const engine = this.#warm.get(key);
    this.#warm.delete(key);
    clearTimeout(engine?.idleTimer);
    await engine?.process.close();
  }
}

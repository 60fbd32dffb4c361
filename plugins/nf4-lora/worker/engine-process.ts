import { ProtocolProcess, type ProtocolProcessOptions } from '../../sdk/process/protocol-process.ts';
import type { ParamsOf } from '../../sdk/process/methods.ts';
import type { RequestOptions } from '../../sdk/process/operation.ts';
import { ENGINE_FAILURES } from './engine-errors.ts';
import {
  METHODS,
  PROTOCOL_VERSION,
  type AliveEvent,
  type EventOf,
  type Method,
  type ResultOf,
} from './protocol.ts';
import { spawnChild } from './spawn-child.ts';

export interface EngineProcessOptions extends ProtocolProcessOptions {
  /** Path of the native addon. Default: `ESCADA_ENGINE_ADDON`, then where the build puts it. */
  readonly addonPath?: string;
  /** Time for the process to load the addon and to answer `hello`. Default 30000. */
  readonly startMs?: number;
}

/** What a caller may add to a request: progress and signs of life have a callback each. */
export interface EngineRequestOptions<M extends Method> extends Omit<
  RequestOptions<typeof METHODS, M>,
  'onEvent'
> {
  /** Called for every event, in order. */
  readonly onEvent?: ((event: EventOf<M>) => void) | undefined;
  /** Called for every sign of life, at most once a second, with what the engine is doing. */
  readonly onAlive?: ((doing: string) => void) | undefined;
}

const SIDE = { version: PROTOCOL_VERSION, methods: METHODS, failures: ENGINE_FAILURES };

/** One engine in a process of its own. */
export class EngineProcess extends ProtocolProcess<typeof METHODS> {
  #hello: ResultOf<'hello'> | undefined;

  /**
   * Starts a process and completes the handshake.
   * Throws `ENGINE_NOT_BUILT`, `ENGINE_CRASHED`, `ENGINE_STALLED` (no handshake within `startMs`), `ENGINE_CANCELLED`.
   */
  static async start(options: EngineProcessOptions = {}, signal?: AbortSignal): Promise<EngineProcess> {
    const engine = new EngineProcess(spawnChild(options), SIDE, options);
    try {
      engine.#hello = await engine.request('hello', {}, { stallMs: options.startMs ?? 30_000, signal });
      return engine;
    } catch (error) {
      await engine.kill();
      throw error;
    }
  }

  override request<M extends Method>(
    method: M,
    params: ParamsOf<typeof METHODS, M>,
    options: EngineRequestOptions<M> = {},
  ): Promise<ResultOf<M>> {
    const { onEvent, onAlive, ...rest } = options;
    return super.request(method, params, {
      ...rest,
      onEvent: (event) => {
        const received: object = event;
        if ('kind' in received) onAlive?.((event as AliveEvent).doing);
        else onEvent?.(event as EventOf<M>);
      },
    });
  }

  /** What the engine said of itself: build, instruction-set class, threads. */
  get hello(): ResultOf<'hello'> {
    if (this.#hello === undefined) throw new Error('the process was not started with EngineProcess.start');
    return this.#hello;
  }
}

import type { EnginePool, LoadedEngine } from './engine-pool.ts';

/** What the engine says of a loaded model and of itself. */
export type EngineFacts = Pick<LoadedEngine['hello'], 'engineBuild' | 'isaClass'> &
  Pick<
    LoadedEngine['model'],
    'modelDigest' | 'contextTokens' | 'chatTemplate' | 'systemTurns' | 'parameters'
  >;

/** What the plugin hands to the models and trainers it makes. */
export interface EngineServices {
  readonly pool: EnginePool;
  /** Path of a model by its id. Throws `MODEL_NOT_FOUND`. */
  readonly findModelPath: (id: string) => Promise<string>;
  /** Longest silence of a running operation. */
  readonly stallMs: number;
  /** Rows that are generated side by side. */
  readonly batchRows: number;
  /** Facts by model key: asking again must not wait for the device. */
  readonly facts: Map<string, EngineFacts>;
}

/**
 * QLoRA training and generation on this machine: NF4 weights, LoRA adapters, the engine of `engine/` in a process of
 * its own. Brings one trainer and one model provider.
 */
import { z } from 'zod';
import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import { PLUGIN_NAME, PROVIDER_ID } from './contract.ts';
import { modelOptionsSchema } from './model-options.ts';
import { EngineLanguageModel } from './worker/engine-language-model.ts';
import type { EngineServices } from './worker/engine-services.ts';
import { EnginePool } from './worker/engine-pool.ts';
import { EngineTrainer } from './worker/engine-trainer.ts';
import { findModelPath } from '../sdk/model-folder/model-path.ts';

/** Options of the plugin; all have defaults. */
export const nf4LoraOptionsSchema = z.strictObject({
  /** Path of the native addon, for builds kept elsewhere. */
  addonPath: z.string().min(1).optional(),
  /** Cores the engine may use. Default: all. */
  threads: z.int().positive().optional(),
  /** Idle time after which a loaded model is given up. */
  idleMs: z.int().positive().default(120_000),
  /** Models in memory at a time. */
  maxProcesses: z.int().positive().default(2),
  /**
   * Longest silence of a running operation, loading included, before its process is killed. The engine gives a sign of life
   * about once a second.
   */
  stallMs: z.int().positive().default(900_000),
  /** Time between a cancellation and SIGKILL. */
  graceMs: z.int().positive().default(5000),
  /** Rows that are generated side by side. */
  batchRows: z.int().positive().default(16),
});

/** Speeds of a 135-million-parameter model on two cores; estimates only. */
const ASSUMED_TOKENS_PER_SECOND = { prompt: 300, generate: 60, train: 120 } as const;

/**
 * Makes the plugin. `find` maps model ids to files (default: `ESCADA_MODEL_PATH`, then the fetched models).
 * Registration throws nothing; using a model or the trainer throws the engine's coded errors.
 */
export function createNf4LoraPlugin(find: (id: string) => Promise<string> = findModelPath): PluginV1 {
  const pools: EnginePool[] = [];
  return {
    name: PLUGIN_NAME,
    version: PACKAGE_VERSION,
    apiVersion: PLUGIN_API_VERSION,
    needs: [],
    optionsSchema: nf4LoraOptionsSchema,
    register(registrar, options) {
      const { batchRows, ...poolOptions } = nf4LoraOptionsSchema.parse(options);
      const { stallMs } = poolOptions;
      const pool = new EnginePool(poolOptions);
      pools.push(pool);
      const services: EngineServices = {
        pool,
        findModelPath: find,
        stallMs,
        batchRows,
        facts: new Map(),
      };
      registrar.addTrainer(new EngineTrainer(services));
      registrar.addLanguageModelProvider({
        id: PROVIDER_ID,
        optionsSchema: modelOptionsSchema,
        resource: 'gpu',
        billable: false,
        assumedTokensPerSecond: ASSUMED_TOKENS_PER_SECOND,
        open: (model) => new EngineLanguageModel(model, services),
      });
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.close()));
    },
  };
}

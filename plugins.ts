/** The list of plugins: what this project's workers and clients know. An npm package's plugin is added here. */
import { corePlugin } from './plugins/steps/index.ts';
import { readPluginConfig } from './runtime/plugin-config.ts';
import { curationPlugin } from './plugins/curation/index.ts';
import { createPluginHost, type ListedPlugin, type PluginHost } from './plugins/host/host.ts';
import { metricsPlugin } from './plugins/metrics/index.ts';
import { createNf4LoraPlugin } from './plugins/nf4-lora/index.ts';
import { createProcessTrainerPlugin } from './plugins/process-trainer/index.ts';
import { retrievalPlugin } from './plugins/retrieval/index.ts';
import { rungsPlugin } from './plugins/rungs/index.ts';

/**
 * Checks and registers the built-in plugins with the options of the configuration file (`ESCADA_CONFIG`), then `others`.
 * Throws `PLUGIN_*`, and `FILE_NOT_FOUND` for the configuration file.
 */
export function createProjectHost(others: readonly ListedPlugin[] = []): PluginHost {
  const builtIn = [
    corePlugin,
    metricsPlugin,
    retrievalPlugin,
    curationPlugin,
    createNf4LoraPlugin(),
    createProcessTrainerPlugin(),
    rungsPlugin,
  ];
  return createPluginHost([...builtIn.map((plugin) => ({ plugin })), ...others], readPluginConfig());
}

/** The list of plugins: what this project's workers and clients know. An npm package's plugin is added here. */
import { corePlugin } from './activities/core-plugin.ts';
import { curationPlugin } from './plugins/curation/index.ts';
import { createPluginHost, type ListedPlugin, type PluginHost } from './plugins/host/host.ts';
import { metricsPlugin } from './plugins/metrics/index.ts';
import { createNf4LoraPlugin } from './plugins/nf4-lora/index.ts';
import { retrievalPlugin } from './plugins/retrieval/index.ts';
import { rungsPlugin } from './plugins/rungs/index.ts';

/** Checks and registers the built-in plugins, then `others`. Throws `PLUGIN_*`. */
export function createProjectHost(others: readonly ListedPlugin[] = []): PluginHost {
  return createPluginHost([
    { plugin: corePlugin },
    { plugin: metricsPlugin },
    { plugin: retrievalPlugin },
    { plugin: curationPlugin },
    { plugin: createNf4LoraPlugin() },
    { plugin: rungsPlugin },
    ...others,
  ]);
}

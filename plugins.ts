/** The list of built-in plugins and the project's defaults; packages are listed in the project's configuration file. */
import { curationPlugin } from './plugins/curation/index.ts';
import {
  createPluginHost,
  type HostConfig,
  type ListedPlugin,
  type PluginHost,
} from './plugins/host/host.ts';
import { loadPackages } from './plugins/host/load-packages.ts';
import { metricsPlugin } from './plugins/metrics/index.ts';
import { createNf4LoraPlugin } from './plugins/nf4-lora/index.ts';
import { createProcessTrainerPlugin } from './plugins/process-trainer/index.ts';
import { retrievalPlugin } from './plugins/retrieval/index.ts';
import { rungsPlugin } from './plugins/rungs/index.ts';
import { corePlugin } from './plugins/steps/index.ts';
import { readProjectConfig, type ProjectPlace } from './runtime/project-config.ts';
import type { PluginDefaults } from './schemas/spec/project-config.ts';

/** What is used where neither the spec nor the configuration file names anything. */
const DEFAULTS: PluginDefaults = {
  provider: 'nf4-lora',
  model: 'smollm2-135m-instruct',
  retriever: 'lexical',
  trainer: 'nf4-lora',
};

/** In the order in which they register: a plugin comes after those that it needs. */
const builtIn = (): ListedPlugin[] =>
  [
    corePlugin,
    metricsPlugin,
    retrievalPlugin,
    curationPlugin,
    createNf4LoraPlugin(),
    createProcessTrainerPlugin(),
    rungsPlugin,
  ].map((plugin) => ({ plugin }));

/** The built-in plugins, then `others`; reads no configuration file. Throws `CONFIG_INVALID` and `PLUGIN_*`. */
export function createProjectHost(others: readonly ListedPlugin[] = [], config: HostConfig = {}): PluginHost {
  return createPluginHost([...builtIn(), ...others], { ...config, builtInDefaults: DEFAULTS });
}

/**
 * The plugins of the project: built-in ones, the packages of the configuration file, then `others`. Worker, client and
 * commands all load them here. Throws `FILE_NOT_FOUND`, `CONFIG_INVALID` and `PLUGIN_*`.
 */
export async function loadHost(
  others: readonly ListedPlugin[] = [],
  place: ProjectPlace = {},
): Promise<PluginHost> {
  const config = readProjectConfig(place);
  return createProjectHost([...(await loadPackages(config)), ...others], config);
}

/** For tests of plugins: fakes of models, and a bench that runs what a plugin brings among the built-in plugins. */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServices } from './activities/services.ts';
import { compileSpec } from './core/compile/compile-spec.ts';
import { openStore } from './core/store/open-store.ts';
import { createProjectHost } from './plugins.ts';
import type { ListedPlugin } from './plugins/host/host.ts';
import { PluginBench } from './plugins/sdk/testing/plugin-bench.ts';
import type { AdaptationPlan } from './schemas/plan/adaptation-plan.ts';

export { answeringModel, type Answer, type AnsweringModel } from './plugins/sdk/testing/answering-model.ts';
export { countingModel, type CountingModel } from './plugins/sdk/testing/counting-model.ts';
export { MemoryBlobs, memoryStorePlugin } from './plugins/sdk/testing/memory-store.ts';
export { noCheckpoints } from './plugins/sdk/testing/no-checkpoints.ts';
export type { PluginBench } from './plugins/sdk/testing/plugin-bench.ts';

/**
 * A bench with the built-in plugins and these, and a store in a temporary folder. Close it when the test ends.
 * Throws what registration refuses (`PLUGIN_*`).
 */
export async function openPluginBench(...plugins: readonly ListedPlugin[]): Promise<PluginBench> {
  const host = createProjectHost(plugins);
  const folder = await mkdtemp(join(tmpdir(), 'escada-bench-'));
  const dataFolder = join(folder, 'data');
  await mkdir(dataFolder);
  const store = openStore(host, { home: folder });
  const services = createServices({ registry: host.registry, store, dataRoots: [dataFolder] });
  return new PluginBench({ host, services, folder });
}

/** Compiles an adaptation spec with the built-in plugins and these, as a run does. Throws `INVALID_SPEC` with every field. */
export async function compileWith(plugins: readonly ListedPlugin[], spec: unknown): Promise<AdaptationPlan> {
  const host = createProjectHost(plugins);
  try {
    return compileSpec(spec, host);
  } finally {
    await host.close();
  }
}

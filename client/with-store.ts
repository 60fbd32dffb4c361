import { openStore } from '../core/store/open-store.ts';
import type { ListedPlugin } from '../plugins/host/host.ts';
import type { ArtifactStoreV1 } from '../plugins/sdk/contracts/artifact-store.ts';
import { loadHost } from '../plugins.ts';
import type { Settings } from '../runtime/settings.ts';

/** Opens the project's artifact store, works with it, and closes it whatever happens. Throws `CONFIG_INVALID`, `PLUGIN_*`, `STORE_CONFIG_INVALID`. */
export async function withStore<T>(
  { settings, plugins = [] }: { readonly settings: Settings; readonly plugins?: readonly ListedPlugin[] },
  work: (store: ArtifactStoreV1) => Promise<T>,
): Promise<T> {
  const host = await loadHost(plugins);
  try {
    const store = openStore(host, settings);
    return await work(store).finally(async () => await store.close());
  } finally {
    await host.close();
  }
}

import type { PluginHost } from '../../plugins/host/host.ts';
import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { formatIssues } from '../../plugins/sdk/issues.ts';
import { checkValue } from '../../plugins/sdk/schema-check/check-value.ts';
import type { StoreChoice } from '../../schemas/spec/project-config.ts';

/** What decides which store is opened. */
export interface StoreSettings {
  /** The home folder, absolute. */
  readonly home: string;
  /** Choice of this process: it comes before that of the configuration file. */
  readonly store?: StoreChoice | undefined;
}

const DEFAULT_STORE: StoreChoice = { use: 'file' };

/**
 * Opens the artifact store that settings or configuration file choose among those that plugins bring: the one way to a
 * store for workers, clients and commands. Throws `STORE_CONFIG_INVALID`.
 */
export function openStore(
  host: Pick<PluginHost, 'registry' | 'store'>,
  { home, store }: StoreSettings,
): ArtifactStoreV1 {
  const { use, options } = choose(host.store, store);
  const factory = host.registry.stores.get(use, 'STORE_CONFIG_INVALID');
  const checked = checkValue(factory.optionsSchema, options ?? {});
  if (checked.success) return factory.open(checked.data, { home });
  throw new EscadaFailure({
    code: 'STORE_CONFIG_INVALID',
    message: `Options of the artifact store "${use}": ${formatIssues(checked.issues, 'options')}`,
    fields: { store: use },
  });
}

/** A choice that only names a kind takes the options that the configuration file has for that kind. */
function choose(configured: StoreChoice = DEFAULT_STORE, chosen: StoreChoice = configured): StoreChoice {
  return chosen.options === undefined && chosen.use === configured.use ? configured : chosen;
}

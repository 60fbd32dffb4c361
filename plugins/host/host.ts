import type { PluginDefaults, StoreChoice } from '../../schemas/spec/project-config.ts';
import { nearest } from '../../schemas/common/nearest.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { PluginV1 } from '../sdk/contracts/plugin.ts';
import { checkDefaults, completeDefaults, fileOf } from './defaults.ts';
import { checkContract, checkedOptions, checkNeeds, labelOf } from './check-plugin.ts';
import { NamedRegistry } from './named-registry.ts';
import { Registry, type Brought } from './registry.ts';

/** A plugin with the options it is to be used with. */
export interface ListedPlugin {
  readonly plugin: PluginV1;
  readonly options?: unknown;
  /** The entry that lists it, for messages: file, place and package. Absent for built-in plugins. */
  readonly origin?: string | undefined;
}

/** What a configuration file says beside the list. */
export interface HostConfig {
  /** Options by plugin name, for plugins that are listed without any. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly defaults?: PluginDefaults;
  /** What is used where `defaults` says nothing. */
  readonly builtInDefaults?: PluginDefaults;
  readonly store?: StoreChoice | undefined;
  /** The file, for messages. */
  readonly file?: string | null;
}

/** A registered plugin, for lists. */
export interface HostedPlugin {
  readonly name: string;
  readonly apiVersion: number;
  readonly version: string;
  /** The entry that lists it; null for built-in plugins. */
  readonly origin: string | null;
  readonly brings: readonly Brought[];
}

export interface PluginHost {
  readonly registry: Registry;
  readonly plugins: readonly HostedPlugin[];
  /** What is used where a spec or an option names nothing. */
  readonly defaults: PluginDefaults;
  /** The artifact store that the configuration file chooses. */
  readonly store: StoreChoice | undefined;
  /** Closes every plugin, last one first, whatever happens on the way. Throws what went wrong. */
  close(): Promise<void>;
}

/**
 * Checks and registers plugins in their listed order. Everything that can be wrong with a plugin fails here, with a code
 * of its own: `PLUGIN_*`, and `CONFIG_INVALID` for a default that no plugin brings. Those that are registered by then are
 * closed.
 */
export function createPluginHost(listed: readonly ListedPlugin[], config: HostConfig = {}): PluginHost {
  const { options: configured = {} } = config;
  const defaults = completeDefaults(config);
  const registry = new Registry(defaults);
  const seen = new NamedRegistry<PluginV1>('plugin');
  for (const one of listed) checkContract(one);
  checkConfigured(listed, config);
  const registered: PluginV1[] = [];
  try {
    for (const one of listed) {
      const { plugin } = one;
      checkNeeds(one, seen);
      seen.add(plugin.name, plugin, labelOf(one));
      registry.failureCodes.add(plugin, labelOf(one));
      const given =
        one.options ?? (Object.hasOwn(configured, plugin.name) ? configured[plugin.name] : undefined);
      plugin.register(registry.registrarFor(plugin.name, plugin.version), checkedOptions(one, given));
      registered.push(plugin);
    }
    checkDefaults(defaults, registry, config);
  } catch (error) {
    // What was refused is the message; a plugin that cannot be closed either adds nothing to it.
    void closeAll(registered.reverse()).catch(() => undefined);
    throw error;
  }
  return {
    registry,
    defaults,
    store: config.store,
    plugins: listed.map((one) => hosted(one, registry)),
    close: async () => await closeAll([...listed].reverse().map(({ plugin }) => plugin)),
  };
}

function hosted({ plugin, origin }: ListedPlugin, registry: Registry): HostedPlugin {
  const { name, version, apiVersion } = plugin;
  return {
    name,
    apiVersion,
    version,
    origin: origin ?? null,
    brings: registry.broughtBy(name),
  };
}

/** One that cannot be closed does not keep the others open. Throws its error, or all of them as one. */
async function closeAll(plugins: readonly PluginV1[]): Promise<void> {
  const failures: unknown[] = [];
  for (const plugin of plugins) {
    try {
      await plugin.close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length <= 1) {
    for (const failure of failures) throw failure;
    return;
  }
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
  throw new AggregateError(failures, `Several plugins could not be closed: ${messages.join('; ')}`);
}

function checkConfigured(listed: readonly ListedPlugin[], config: HostConfig): void {
  const twice = listed.find(
    ({ plugin, origin }) => origin !== undefined && Object.hasOwn(config.options ?? {}, plugin.name),
  );
  if (twice !== undefined) {
    throw new EscadaFailure({
      code: 'PLUGIN_OPTIONS_INVALID',
      message: `${fileOf(config)}options.${twice.plugin.name} belongs to a listed package. Write its options beside the package (${twice.origin}).`,
      fields: { plugin: twice.plugin.name },
    });
  }
  const names = listed.map(({ plugin }) => plugin.name);
  const unknown = Object.keys(config.options ?? {}).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const guess = nearest(unknown, names);
  throw new EscadaFailure({
    code: 'PLUGIN_OPTIONS_INVALID',
    message: `${fileOf(config)}There are options for a plugin "${unknown}", which is not listed.${guess === null ? '' : ` Did you mean "${guess}"?`} Listed: ${names.join(', ')}.`,
    fields: { plugin: unknown, listed: names },
  });
}

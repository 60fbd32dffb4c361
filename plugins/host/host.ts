import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import { nearest } from '../../schemas/common/nearest.ts';
import { Registry, Shelf } from './registry.ts';

/** A plugin with the options it is to be used with. */
export interface ListedPlugin {
  readonly plugin: PluginV1;
  readonly options?: unknown;
}

export interface PluginHost {
  readonly registry: Registry;
  readonly plugins: readonly { readonly name: string; readonly apiVersion: number }[];
  /** Closes every plugin, last one first, whatever happens on the way. Throws what went wrong. */
  close(): Promise<void>;
}

/**
 * Checks and registers plugins in their listed order. Everything that can be wrong with a plugin fails here. `configured`:
 * options by plugin name, for those that are listed without any.
 */
export function createPluginHost(
  listed: readonly ListedPlugin[],
  configured: Readonly<Record<string, unknown>> = {},
): PluginHost {
  checkConfigured(listed, configured);
  const registry = new Registry();
  const seen = new Shelf<PluginV1>('plugin');
  for (const { plugin, options } of listed) {
    checkContract(plugin);
    checkNeeds(plugin, seen);
    seen.add(plugin.name, plugin, plugin.name);
    const given = options ?? (Object.hasOwn(configured, plugin.name) ? configured[plugin.name] : undefined);
    plugin.register(registry.registrarFor(plugin.name), checkedOptions(plugin, given));
  }
  return {
    registry,
    plugins: listed.map(({ plugin }) => ({ name: plugin.name, apiVersion: plugin.apiVersion })),
    close: async () => await closeAll([...listed].reverse().map(({ plugin }) => plugin)),
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

function checkConfigured(
  listed: readonly ListedPlugin[],
  configured: Readonly<Record<string, unknown>>,
): void {
  const names = listed.map(({ plugin }) => plugin.name);
  const unknown = Object.keys(configured).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const guess = nearest(unknown, names);
  throw new EscadaFailure({
    code: 'PLUGIN_OPTIONS_INVALID',
    message: `There are options for a plugin "${unknown}", which is not listed.${guess === null ? '' : ` Did you mean "${guess}"?`} Listed: ${names.join(', ')}.`,
    fields: { plugin: unknown, listed: names },
  });
}

function checkContract(plugin: PluginV1): void {
  if (plugin.apiVersion === PLUGIN_API_VERSION) return;
  throw new EscadaFailure({
    code: 'PLUGIN_API_VERSION',
    message: `Plugin ${plugin.name} was written for plugin contract ${plugin.apiVersion}; this is ${PLUGIN_API_VERSION}.`,
    fields: { plugin: plugin.name, apiVersion: plugin.apiVersion },
  });
}

function checkNeeds(plugin: PluginV1, seen: Shelf<PluginV1>): void {
  const missing = plugin.needs.filter((need) => !seen.has(need));
  if (missing.length === 0) return;
  throw new EscadaFailure({
    code: 'PLUGIN_NEED_MISSING',
    message: `Plugin ${plugin.name} needs ${missing.join(', ')}, which must be listed before it.`,
    fields: { plugin: plugin.name, missing },
  });
}

function checkedOptions(plugin: PluginV1, options: unknown): unknown {
  const parsed = plugin.optionsSchema.safeParse(options ?? {});
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new EscadaFailure({
    code: 'PLUGIN_OPTIONS_INVALID',
    message: `Options of plugin ${plugin.name}: ${issues}`,
    fields: { plugin: plugin.name },
  });
}

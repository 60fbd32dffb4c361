import { formatIssues } from '../sdk/issues.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import type { ListedPlugin } from './host.ts';
import type { ValueSchema } from '../sdk/contracts/value-schema.ts';
import { checkValue } from '../sdk/schema-check/check-value.ts';

/** Names appear in failure codes, options and messages. */
const PLUGIN_NAME = /^[a-z][a-z0-9-]{0,59}$/;

/** Versions are part of cache keys and of reports. */
const PLUGIN_VERSION = /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,99}$/;

/** What messages call a plugin: its name and, where it is not built in, the entry that lists it. */
export function labelOf({ plugin, origin }: ListedPlugin): string {
  return origin === undefined ? plugin.name : `${plugin.name} (${origin})`;
}

/** What a value lacks to be a plugin; null when it is one. */
export function lacksOfPlugin(value: unknown): string | null {
  if (typeof value !== 'object' || value === null)
    return `it is ${value === null ? 'null' : typeof value}, not an object`;
  const given = value as Partial<Record<keyof PluginV1, unknown>>;
  if (typeof given.name !== 'string' || !PLUGIN_NAME.test(given.name))
    return '`name` must be lower-case letters, digits and dashes';
  if (typeof given.version !== 'string' || !PLUGIN_VERSION.test(given.version))
    return '`version` must be its version, such as "1.2.0"';
  if (typeof given.apiVersion !== 'number') return '`apiVersion` must be PLUGIN_API_VERSION';
  if (!Array.isArray(given.needs)) return '`needs` must be a list of plugin names';
  const schema = lacksOfSchema(given.optionsSchema);
  if (schema !== null) return `\`optionsSchema\` must be a zod schema or a JSON Schema: ${schema}`;
  if (typeof given.register !== 'function') return '`register` must be a function';
  return typeof given.close === 'function' ? null : '`close` must be a function';
}

function lacksOfSchema(schema: unknown): string | null {
  if (typeof schema !== 'object' || schema === null)
    return `it is ${schema === null ? 'null' : typeof schema}`;
  try {
    checkValue(schema as ValueSchema, {});
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Throws `PLUGIN_API_VERSION` or `PLUGIN_INVALID`. */
export function checkContract(listed: ListedPlugin): void {
  const { plugin } = listed;
  const lacks = lacksOfPlugin(plugin);
  if (lacks !== null) {
    throw new EscadaFailure({
      code: 'PLUGIN_INVALID',
      message: `${listed.origin ?? 'A plugin'} is no plugin: ${lacks}.`,
      fields: { origin: listed.origin ?? null },
    });
  }
  if (plugin.apiVersion === PLUGIN_API_VERSION) return;
  const older = plugin.apiVersion < PLUGIN_API_VERSION;
  throw new EscadaFailure({
    code: 'PLUGIN_API_VERSION',
    message: `Plugin ${labelOf(listed)} was written for plugin contract ${plugin.apiVersion}; this is ${PLUGIN_API_VERSION}. Update ${older ? 'the plugin' : 'Escada'}.`,
    fields: { plugin: plugin.name, apiVersion: plugin.apiVersion },
  });
}

/** Throws `PLUGIN_NEED_MISSING`. */
export function checkNeeds(listed: ListedPlugin, seen: { has(name: string): boolean }): void {
  const { plugin } = listed;
  const missing = plugin.needs.filter((need) => !seen.has(need));
  if (missing.length === 0) return;
  throw new EscadaFailure({
    code: 'PLUGIN_NEED_MISSING',
    message: `Plugin ${labelOf(listed)} needs ${missing.join(', ')}, which must be listed before it.`,
    fields: { plugin: plugin.name, missing },
  });
}

/** Options with defaults filled in. Throws `PLUGIN_OPTIONS_INVALID` with every field. */
export function checkedOptions(listed: ListedPlugin, options: unknown): unknown {
  const { plugin } = listed;
  const checked = checkValue(plugin.optionsSchema, options ?? {});
  if (checked.success) return checked.data;
  throw new EscadaFailure({
    code: 'PLUGIN_OPTIONS_INVALID',
    message: `Options of plugin ${labelOf(listed)}: ${formatIssues(checked.issues, 'the options')}`,
    fields: { plugin: plugin.name },
  });
}

import type { StepKindV1 } from '../sdk/contracts/step-kind.ts';
import type { NamedRegistry } from './named-registry.ts';
import type { Registry } from './registry.ts';

/** Versions of plugins, by name. */
export type PluginVersions = Readonly<Record<string, string>>;

/** The registry of what the fields of `names` name; a model is a provider's. */
const REGISTRIES: Readonly<Record<string, (registry: Registry) => NamedRegistry<unknown>>> = {
  metrics: ({ metrics }) => metrics,
  models: ({ providers }) => providers,
  providers: ({ providers }) => providers,
  retrievers: ({ retrievers }) => retrievers,
  trainers: ({ trainers }) => trainers,
};

/**
 * The plugins that a step runs code of, as far as its options show: the one that brought its kind, and those that brought
 * the components which the options name. Part of every cache key: other code may give another result.
 */
export function usedPlugins(
  { kind, names = {} }: Pick<StepKindV1, 'kind' | 'names'>,
  options: unknown,
  registry: Registry,
): PluginVersions {
  const owners = [registry.stepKinds.ownerOf(kind)];
  for (const [field, sort] of Object.entries(names)) {
    const components = REGISTRIES[sort]?.(registry);
    for (const name of namesAt(options, field.split('.'))) owners.push(components?.ownerOf(name));
  }
  const known = [...new Set(owners)].flatMap((owner) => owner ?? []).sort();
  return Object.fromEntries(known.map((owner) => [owner, registry.versions.get(owner) ?? '']));
}

/** The names in a field, one for each entry of the lists on the way. */
function namesAt(value: unknown, [key, ...rest]: readonly string[]): readonly string[] {
  if (Array.isArray(value))
    return value.flatMap((one) => namesAt(one, key === undefined ? [] : [key, ...rest]));
  if (key === undefined && typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  const member = (value as Readonly<Record<string, unknown>>)[key ?? 'provider'];
  return key === undefined ? (typeof member === 'string' ? [member] : []) : namesAt(member, rest);
}

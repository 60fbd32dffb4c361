/** What is used where a spec names nothing: the configuration file's choice, then the built-in one. */
import type { PluginDefaults } from '../../schemas/spec/project-config.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { HostConfig } from './host.ts';
import type { Registry } from './registry.ts';

/** The file that messages name. */
export const fileOf = ({ file }: HostConfig): string => (typeof file === 'string' ? `${file}: ` : '');

/**
 * The configuration's defaults, completed with the built-in ones. Throws `CONFIG_INVALID` for another provider without a
 * model of its own: ids of models are the provider's.
 */
export function completeDefaults(config: HostConfig): PluginDefaults {
  const { defaults = {}, builtInDefaults: builtIn = {} } = config;
  const { provider, model } = defaults;
  if (
    provider !== undefined &&
    model === undefined &&
    builtIn.model !== undefined &&
    provider !== builtIn.provider
  )
    throw new EscadaFailure({
      code: 'CONFIG_INVALID',
      message: `${fileOf(config)}defaults.provider is "${provider}", and defaults.model is missing: the built-in default "${builtIn.model}" is a model of the provider "${builtIn.provider}". Set defaults.model to a model of "${provider}".`,
      fields: { provider, field: 'model' },
    });
  return { ...builtIn, ...defaults };
}

/** Throws `CONFIG_INVALID` for a default that no plugin brings. */
export function checkDefaults(defaults: PluginDefaults, registry: Registry, config: HostConfig): void {
  const kinds = {
    provider: registry.providers,
    retriever: registry.retrievers,
    trainer: registry.trainers,
  } as const;
  for (const [field, known] of Object.entries(kinds)) {
    const name = defaults[field as keyof typeof kinds];
    if (name === undefined || known.has(name)) continue;
    throw new EscadaFailure({
      code: 'CONFIG_INVALID',
      message: `${fileOf(config)}defaults.${field}: no plugin brings the ${known.kind} "${name}". Known: ${known.names().join(', ')}.`,
      fields: { field, name, known: known.names() },
    });
  }
}

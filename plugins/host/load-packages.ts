import { pathToFileURL } from 'node:url';
import type { PluginEntry } from '../../schemas/spec/project-config.ts';
import { EscadaFailure, isEscadaFailure } from '../sdk/contracts/failure.ts';
import type { PluginV1 } from '../sdk/contracts/plugin.ts';
import { lacksOfPlugin } from './check-plugin.ts';
import type { ListedPlugin } from './host.ts';
import { findPackage, type FoundPackage } from './find-package.ts';

/** A configuration file's list of packages. */
export interface PackageList {
  readonly plugins: readonly PluginEntry[];
  /** The file, for messages. */
  readonly file: string | null;
  /** Folder from which packages are resolved. */
  readonly folder: string;
}

/**
 * Imports the packages in their order; each default export is a plugin, or a function that returns one.
 * Throws `PLUGIN_NOT_FOUND`, `PLUGIN_LOAD_FAILED` and `PLUGIN_INVALID`, each with file, entry and package.
 */
export async function loadPackages({ plugins, file, folder }: PackageList): Promise<readonly ListedPlugin[]> {
  const listed: ListedPlugin[] = [];
  // Imported for its effect: what packages import as `escada` is this product.
  if (plugins.length > 0) await import('../sdk/product-imports.ts');
  for (const [index, entry] of plugins.entries()) {
    const origin = `${file ?? 'the configuration'}, plugins[${index}]: ${entry.package}`;
    const found = findPackage(entry.package, folder, origin);
    const plugin = await loadPlugin(found, origin);
    listed.push({ plugin, options: entry.options ?? {}, origin });
  }
  return listed;
}

async function loadPlugin({ path }: FoundPackage, origin: string): Promise<PluginV1> {
  const made = await run(origin, path, async () => {
    const { default: exported } = (await import(pathToFileURL(path).href)) as { readonly default?: unknown };
    return typeof exported === 'function' ? await (exported as () => unknown)() : exported;
  });
  const lacks = made === undefined ? 'its module has no default export' : lacksOfPlugin(made);
  if (lacks === null) return made as PluginV1;
  throw new EscadaFailure({
    code: 'PLUGIN_INVALID',
    message: `${origin} exports no plugin: ${lacks}. The default export of ${path} must be a plugin, or a function that returns one.`,
    fields: { path },
  });
}

/** A plugin's own coded failure keeps its code; everything else is a module that cannot be loaded. */
async function run<T>(origin: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (isEscadaFailure(cause)) throw cause;
    const problem = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new EscadaFailure({
      code: 'PLUGIN_LOAD_FAILED',
      message: `${origin} cannot be loaded from ${path}: ${problem}`,
      fields: { path },
      cause,
    });
  }
}

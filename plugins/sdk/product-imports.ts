/**
 * Imports of `escada` by plugin code lead to this very product, wherever the plugin is installed and whatever is
 * installed beside it: in a clone to its sources, in the npm package to its compiled files. So there is one copy of the contracts,
 * and failures and schemas of a plugin are the host's own. As a module it can be preloaded in a thread (`--import`); the import is the installation.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, type ResolveFnOutput, type ResolveHookContext } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { COMPILED, PACKAGE_ROOT } from './package-paths.ts';

type Resolve = (specifier: string, context?: Partial<ResolveHookContext>) => ResolveFnOutput;

/** What plugins share with the product beside it: schemas of both are made by one copy. */
const SHARED = 'zod';

const manifestPath = join(PACKAGE_ROOT, 'package.json');
const manifestUrl = pathToFileURL(manifestPath).href;

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

/** The product's modules by the names that programs import. */
function entriesOf({ name, exports: exported }: Manifest): ReadonlyMap<string, string> {
  const entries = Object.entries(exported).flatMap(([key, target]): [string, string][] => {
    if (typeof target === 'string') return [];
    const file = COMPILED ? target.default : target.default.replace('./dist/', './').replace(/\.js$/, '.ts');
    return [[`${name}${key.slice(1)}`, new URL(file, manifestUrl).href]];
  });
  return new Map(entries);
}

const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as Manifest;
const entries = entriesOf(manifest);

const isOf = (packageName: string, specifier: string): boolean =>
  specifier === packageName || specifier.startsWith(`${packageName}/`);

function resolve(specifier: string, context: ResolveHookContext, next: Resolve): ResolveFnOutput {
  const entry = entries.get(specifier);
  if (entry !== undefined) return next(entry, context);
  const here = { ...context, parentURL: manifestUrl };
  if (isOf(manifest.name, specifier)) return next(specifier, here);
  if (!isOf(SHARED, specifier)) return next(specifier, context);
  try {
    return next(specifier, context);
  } catch {
    // The plugin's folder has none; the product's is what its peer dependency means.
    return next(specifier, here);
  }
}

// The module is evaluated once a thread.
registerHooks({ resolve });

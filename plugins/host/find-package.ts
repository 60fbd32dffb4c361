import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EscadaFailure } from '../sdk/contracts/failure.ts';

/** A package's entry on this machine. */
export interface FoundPackage {
  /** Absolute path of the module to import, links followed. */
  readonly path: string;
}

/** A package name, with or without a scope; no path inside it. */
const PACKAGE_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

/** Export conditions of a module that is imported by Node. */
const CONDITIONS = new Set(['node', 'import', 'module-sync', 'default']);

/**
 * Finds a package as Node does for a module in `folder`: in `node_modules` there or above, or by a relative path to a
 * folder with a package.json or to a module. Throws `PLUGIN_NOT_FOUND` with what was tried.
 */
export function findPackage(name: string, folder: string, origin: string): FoundPackage {
  const fail = (problem: string, help: string): never => {
    throw new EscadaFailure({
      code: 'PLUGIN_NOT_FOUND',
      message: `${origin}: ${problem}. ${help}`,
      fields: { package: name, folder },
    });
  };
  if (/^\.\.?\//.test(name)) {
    const path = resolve(folder, name);
    if (isFile(path)) return { path: realpathSync(path) };
    return (
      entryOf(path) ??
      fail(
        `there is no module or package at ${path}`,
        'Correct the path; it is relative to the configuration file.',
      )
    );
  }
  if (!PACKAGE_NAME.test(name))
    return fail(
      `"${name}" is no package name`,
      'Use the name of an npm package, or a path that starts with ./ or ../.',
    );
  for (let place = folder; ; place = dirname(place)) {
    const found = entryOf(join(place, 'node_modules', name));
    if (found !== null) return found;
    if (place === dirname(place)) break;
  }
  return fail(
    `the package is not in node_modules of ${folder} or of a folder above it`,
    `Run \`npm install ${name}\` there.`,
  );
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

interface Manifest {
  readonly main?: string;
  readonly exports?: unknown;
}

/** The entry of the package in a folder; null where there is none. */
function entryOf(folder: string): FoundPackage | null {
  const file = join(folder, 'package.json');
  if (!isFile(file)) return null;
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  const path = join(folder, rootTarget(manifest.exports) ?? manifest.main ?? 'index.js');
  return isFile(path) ? { path: realpathSync(path) } : null;
}

/** Target of the root export, by Node's rules for conditions. */
function rootTarget(exported: unknown): string | null {
  if (typeof exported === 'string') return exported;
  if (Array.isArray(exported)) return exported.map(rootTarget).find((one) => one !== null) ?? null;
  if (typeof exported !== 'object' || exported === null) return null;
  for (const [key, value] of Object.entries(exported)) {
    const target = key === '.' || CONDITIONS.has(key) ? rootTarget(value) : null;
    if (target !== null) return target;
  }
  return null;
}

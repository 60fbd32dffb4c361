/**
 * Where the product's own files are. Two trees exist: the sources, whose types Node strips, and the npm package, where
 * the same tree is compiled under `dist/` and everything that is not TypeScript stays where it was.
 */
import { fileURLToPath } from 'node:url';

/** Whether this runs from the npm package. */
export const COMPILED = import.meta.url.endsWith('.js');

/** Folder of package.json, examples, JSON Schemas and the engine's sources, with a slash at its end. */
export const PACKAGE_ROOT = fileURLToPath(new URL(COMPILED ? '../../../' : '../../', import.meta.url));

/** URL of the folder of the built-in plugins. */
export const PLUGINS_URL = new URL('../', import.meta.url).href;

/**
 * URL of another module of the product that is started by its path and not imported: a thread, a process, the
 * workflows. `path` is relative to `base` (the caller's `import.meta.url`) and named as among the sources.
 */
export function moduleUrl(path: `${string}.ts`, base: string): URL {
  return new URL(COMPILED ? `${path.slice(0, -'.ts'.length)}.js` : path, base);
}

/** The folders that specs may read from, and what of them stays closed. */
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';

/** What a worker opens to specs. */
export interface DataRoots {
  /** Folders whose files specs may name; without any, specs take artifacts only. */
  readonly roots: readonly string[];
  /** Folders inside them that stay closed: the artifact store, which holds other runs' data. */
  readonly closed: readonly string[];
}

/** A user's file, after all checks. */
export interface DataPath {
  /** Absolute, links followed. */
  readonly path: string;
  /** As the spec wrote it: its ending names the format even where the file behind a link has none. */
  readonly name: string;
}

/** A root as it was configured, and where it really is. */
interface Root {
  readonly given: string;
  readonly real: string;
}

/**
 * Finds a file that a spec names. A path is first compared with the roots as text, so that the answer for one outside
 * them does not depend on what exists there; then links are followed and what they lead to is checked the same way.
 * Throws `PATH_OUTSIDE_DATA_ROOTS` (outside, hidden or closed) or `FILE_NOT_FOUND` (missing, or no regular file).
 */
export async function resolveDataPath(path: string, access: DataRoots): Promise<DataPath> {
  const roots = await Promise.all(access.roots.map(realRoot));
  const candidates = isAbsolute(path) ? [resolve(path)] : roots.map(({ given }) => resolve(given, path));
  const allowed = candidates.filter((candidate) => roots.some((root) => holds(root, candidate)));
  if (allowed.length === 0) throw outside(path, access.roots);
  for (const candidate of allowed) {
    requireVisible(path, candidate, roots);
    const found = await realpath(candidate).catch(() => null);
    if (found === null) continue;
    await requireOpen(path, { candidate, found }, roots, access);
    return { path: found, name: path };
  }
  throw new EscadaFailure({
    code: 'FILE_NOT_FOUND',
    message: `There is no file "${path}". Looked in: ${allowed.join(', ')}.`,
    fields: { path },
  });
}

async function realRoot(root: string): Promise<Root> {
  const given = resolve(root);
  return { given, real: await realpath(given).catch(() => given) };
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

const holds = ({ given, real }: Root, path: string): boolean => isWithin(given, path) || isWithin(real, path);

/** Names that begin with a dot hold settings and secrets: `.env`, `.git`, `.ssh`, `.escada`. */
function requireVisible(path: string, place: string, roots: readonly Root[]): void {
  const parts = roots
    .flatMap(({ given, real }) => [given, real])
    .filter((root) => isWithin(root, place))
    .map((root) => relative(root, place).split(sep));
  if (parts.some((names) => names.every((name) => !name.startsWith('.')))) return;
  throw new EscadaFailure({
    code: 'PATH_OUTSIDE_DATA_ROOTS',
    message: `"${path}" is closed to specs: files and folders whose names begin with a dot are never read. Copy the data to a plain name.`,
    fields: { path },
  });
}

/** Checks the place behind all links: inside a root, not hidden, not closed, a regular file. */
async function requireOpen(
  path: string,
  { candidate, found }: { readonly candidate: string; readonly found: string },
  roots: readonly Root[],
  { roots: given, closed }: DataRoots,
): Promise<void> {
  if (!roots.some((root) => isWithin(root.real, found)))
    throw outside(path, given, found === candidate ? null : found);
  requireVisible(path, found, roots);
  const shut = await Promise.all(closed.map(realRoot));
  if (shut.some((root) => holds(root, found))) throw outside(path, given);
  if ((await stat(found)).isFile()) return;
  throw new EscadaFailure({
    code: 'FILE_NOT_FOUND',
    message: `"${path}" is not a file; name one file of rows, not a folder or a device.`,
    fields: { path },
  });
}

function outside(path: string, roots: readonly string[], target: string | null = null): EscadaFailure {
  const where = roots.length === 0 ? 'none is configured' : roots.join(', ');
  const how =
    target === null ? 'is outside the data roots' : `is a link to ${target}, which is outside the data roots`;
  return new EscadaFailure({
    code: 'PATH_OUTSIDE_DATA_ROOTS',
    message: `"${path}" ${how} (${where}). Move the file there, or add its folder to ESCADA_DATA_ROOTS.`,
    fields: { path },
  });
}

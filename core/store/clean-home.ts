/** Old reports and logs of one home folder (`.escada`), and what its store keeps for old runs. */
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isRunning } from '../../runtime/bootstrap/process-identity.mjs';
import type {
  ArtifactStoreV1,
  CleanOptions,
  CleanResult,
  Removed,
  RunIds,
} from '../../plugins/sdk/contracts/artifact-store.ts';
import { sweepLooseRows } from '../../plugins/sdk/store/leftovers.ts';
import { referencesIn } from '../../plugins/sdk/store/references.ts';
import { MIN_KEEP_MS } from '../../plugins/sdk/store/retention.ts';
import { readJsonFile } from './file-store/uses.ts';

/** What of old runs is kept. */
export type Retention = Pick<CleanOptions, 'keepRuns' | 'olderThanMs'>;

/** An open run as the server has it: its ids, and every value in its history. */
export interface OpenRun extends RunIds {
  readonly values: readonly unknown[];
}

export interface HomeResult extends CleanResult {
  readonly reports: Removed;
  readonly logs: Removed;
  /** Half-written files of killed processes. */
  readonly leftovers: number;
}

interface CleanHome extends Retention {
  readonly home: string;
  readonly store: ArtifactStoreV1;
  readonly dryRun: boolean;
  /** Null when no server answers: then age, number and living processes decide. */
  readonly openRuns: readonly OpenRun[] | null;
  readonly nowMs?: number;
}

/** Removes what is neither kept by the retention nor needed by a run that is open, at work or kept. */
export async function cleanHome(options: CleanHome): Promise<HomeResult> {
  const { home, store, dryRun, keepRuns, olderThanMs, nowMs = Date.now() } = options;
  const leftovers = dryRun ? 0 : (await store.sweep()) + (await sweepLooseRows());
  const limitMs = nowMs - Math.max(MIN_KEEP_MS, olderThanMs);
  const reports = await oldReports(join(home, 'reports'), keepRuns, limitMs);
  const references: ReturnType<typeof referencesIn> = [];
  for (const path of reports.kept) references.push(...referencesIn(await readJsonFile(path)));
  const openRuns =
    options.openRuns?.map(({ values, ...run }) => ({ run, references: referencesIn(values) })) ?? null;
  const cleaned = await store.clean({ keepRuns, olderThanMs, dryRun, references, openRuns, nowMs });
  return {
    ...cleaned,
    reports: await removeFiles(reports.old, dryRun),
    logs: await removeFiles(await oldLogs(home, limitMs), dryRun),
    leftovers,
  };
}

interface Aged {
  readonly path: string;
  readonly mtimeMs: number;
}

async function aged(folder: string, recursive: boolean): Promise<Aged[]> {
  const entries = await readdir(folder, { recursive, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return await Promise.all(files.map(async (path) => ({ path, mtimeMs: (await stat(path)).mtimeMs })));
}

/** A run's report is up to three files of one name. */
async function oldReports(folder: string, keepRuns: number, limitMs: number) {
  const files = (await aged(folder, true)).sort((a, b) => b.mtimeMs - a.mtimeMs);
  const nameOf = ({ path }: Aged): string => path.replace(/\.(html|json|md)$/, '');
  const newest = new Set([...new Set(files.map(nameOf))].slice(0, keepRuns));
  const isOld = (file: Aged): boolean => !newest.has(nameOf(file)) && file.mtimeMs < limitMs;
  return {
    old: files.filter(isOld).map(({ path }) => path),
    kept: files.filter((file) => !isOld(file) && file.path.endsWith('.json')).map(({ path }) => path),
  };
}

/** Logs of a home's commands (`logs/`) and of its servers. */
export async function logFiles(home: string): Promise<readonly Aged[]> {
  const servers = (await readdir(home).catch(() => [])).filter((name) => name.endsWith('.server'));
  const found = await Promise.all(
    ['logs', ...servers].map(async (name) => await aged(join(home, name), false)),
  );
  return found.flat().filter(({ path }) => /\.log(\.|$)/.test(basename(path)));
}

/** Logs that processes may be writing to stay: they are kept short by those. */
async function oldLogs(home: string, limitMs: number): Promise<string[]> {
  const old = (await logFiles(home)).filter(({ mtimeMs }) => mtimeMs < limitMs).map(({ path }) => path);
  const used = await Promise.all(old.map(async (path) => await isLogInUse(basename(path))));
  return old.filter((_, index) => used[index] === false);
}

/** A worker's log has its process in its name; what cannot be asked counts as running. */
async function isLogInUse(name: string): Promise<boolean> {
  const [, pid] = /^worker-(\d+)\.log/.exec(name) ?? [];
  return (
    name === 'server.log' || (pid !== undefined && (await isRunning(Number(pid), null).catch(() => true)))
  );
}

async function removeFiles(paths: readonly string[], dryRun: boolean): Promise<Removed> {
  let sizeBytes = 0;
  for (const path of paths) {
    sizeBytes += (await stat(path).catch(() => null))?.size ?? 0;
    if (!dryRun) await rm(path, { force: true });
  }
  return { count: paths.length, sizeBytes };
}

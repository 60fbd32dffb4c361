/** Old reports, logs and everything in the store of one home folder (`.escada`). */
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isRunning } from '../../runtime/bootstrap/process-identity.mjs';
import { runFolder } from './scratch.ts';
import { cleanStore, GRACE_MS, type CleanResult, type OpenRuns, type Removed } from './clean-store.ts';
import { FileStore } from './file-store.ts';
import { readJsonFile, referencesIn } from './references.ts';
import { sweepLeftovers } from './sweep.ts';

/** What of old runs is kept. */
export interface Retention {
  /** How many of the newest runs. */
  readonly keepRuns: number;
  /** And everything that was used within this time. */
  readonly olderThanMs: number;
}

/** An open run as the server has it: its ids, and every value in its history. */
export interface OpenRun {
  readonly namespace: string;
  readonly workflowId: string;
  readonly firstRunId: string;
  readonly values: readonly unknown[];
}

export interface HomeResult extends CleanResult {
  readonly reports: Removed;
  readonly logs: Removed;
  /** Half-written files of killed processes. */
  readonly leftovers: number;
}

interface CleanHome extends Retention {
  readonly storeRoot: string;
  readonly dryRun: boolean;
  /** Null when no server answers: then age, number and living processes decide. */
  readonly openRuns: readonly OpenRun[] | null;
  readonly nowMs?: number;
}

/** Removes what is neither kept by the retention nor needed by a run that is open, at work or kept. */
export async function cleanHome(options: CleanHome): Promise<HomeResult> {
  const { storeRoot, dryRun, nowMs = Date.now() } = options;
  const home = dirname(storeRoot);
  const leftovers = dryRun ? 0 : await sweepLeftovers(storeRoot);
  const limitMs = nowMs - Math.max(GRACE_MS, options.olderThanMs);
  const reports = await oldReports(join(home, 'reports'), options.keepRuns, limitMs);
  const references: ReturnType<typeof referencesIn> = [];
  for (const path of reports.kept) references.push(...referencesIn(await readJsonFile(path)));
  const open = options.openRuns === null ? null : openRunsOf(storeRoot, options.openRuns);
  const cleaned = await cleanStore(new FileStore(storeRoot), { ...options, nowMs, references, open });
  return {
    ...cleaned,
    reports: await removeFiles(reports.old, dryRun),
    logs: await removeFiles(await oldLogs(home, limitMs), dryRun),
    leftovers,
  };
}

function openRunsOf(root: string, runs: readonly OpenRun[]): OpenRuns {
  return {
    folders: new Set(runs.map((run) => basename(runFolder(root, run)))),
    references: runs.flatMap(({ values }) => referencesIn(values)),
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

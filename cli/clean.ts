import { Command, InvalidArgumentError } from 'commander';
import { cleanHome } from '../core/store/clean-home.ts';
import type { Removed } from '../plugins/sdk/contracts/artifact-store.ts';
import { readRetention } from '../worker/retention.ts';
import { readSettings } from '../runtime/settings.ts';
import { connectTemporal } from '../client/connect.ts';
import { withStore } from '../client/with-store.ts';
import { listOpenRuns, type OpenRunOnServer } from '../client/open-runs.ts';
import { isEscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { numberOption } from './lib/number-option.ts';
import { megabytes } from './lib/size.ts';
import { print, say } from './lib/terminal.ts';

interface Options {
  readonly keepRuns?: number;
  readonly olderThan?: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of `12h`, `30d` or `4w`. */
function age(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6})([hdw])$/.exec(text.trim()) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('an age is wanted: 12h, 30d or 4w');
  return Number(digits) * (UNITS[unit] ?? 0);
}

/** The server's open runs; null when no server answers. */
async function openRuns(): Promise<OpenRunOnServer[] | null> {
  const client = await connectTemporal().catch((error: unknown) => {
    if (isEscadaFailure(error) && error.code === 'SERVER_UNREACHABLE') return null;
    throw error;
  });
  if (client === null) return null;
  try {
    return await listOpenRuns(client);
  } finally {
    await client.connection.close();
  }
}

const WHAT = {
  runs: 'runs (scratch, notes)',
  actions: 'stored results',
  objects: 'artifacts',
  folders: 'unpacked folders',
  reports: 'reports',
  logs: 'logs',
} as const;

export const cleanCommand = new Command('clean')
  .description('Remove what old runs left: scratch folders, artifacts, stored results, reports, logs')
  .option(
    '--keep-runs <n>',
    'keep the newest runs (default: ESCADA_KEEP_RUNS, or 20)',
    numberOption('--keep-runs', { min: 0, max: 1_000_000, integer: true, wanted: 'a whole number from 0' }),
  )
  .option(
    '--older-than <age>',
    'keep what was used since: 12h, 30d (default: ESCADA_KEEP_DAYS, or 30 days)',
    age,
  )
  .option('--dry-run', 'print what would be removed, and remove nothing')
  .option('--json', 'print the result as one JSON object')
  .action(async ({ keepRuns, olderThan, dryRun = false, json }: Options) => {
    const usual = readRetention();
    const open = await openRuns();
    if (open === null)
      say('No Temporal server answers: runs that are old and that no process works on count as ended.');
    const settings = readSettings();
    const result = await withStore(
      { settings },
      async (store) =>
        await cleanHome({
          keepRuns: keepRuns ?? usual.keepRuns,
          olderThanMs: olderThan ?? usual.olderThanMs,
          home: settings.home,
          store,
          dryRun,
          openRuns: open,
        }),
    );
    if (json === true) {
      print(JSON.stringify({ ...result, dryRun }));
      return;
    }
    const parts = (Object.keys(WHAT) as (keyof typeof WHAT)[]).map(
      (key) => [WHAT[key], result[key]] as const,
    );
    for (const [what, { count, sizeBytes }] of parts) print(`${what}: ${count}, ${megabytes(sizeBytes)}`);
    const total = parts.reduce((sum, [, part]: readonly [string, Removed]) => sum + part.sizeBytes, 0);
    print(`${dryRun ? 'Would remove' : 'Removed'} ${megabytes(total)}; ${result.keptRuns} runs are kept.`);
  });

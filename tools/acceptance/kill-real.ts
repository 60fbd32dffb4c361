/**
 * `node tools/acceptance/kill-real.ts [--train 64]`: three runs with the real model, one undisturbed, one whose trainer
 * and one whose worker is killed with SIGKILL in the middle of the final training. Passes when the adapters are the
 * same to the byte and no step that had finished was run again. Linux only.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { withStore } from '../../client/with-store.ts';
import type { Settings } from '../../runtime/settings.ts';
import { follow } from '../../cli/lib/follow.ts';
import { loadSpec } from '../../cli/lib/load-spec.ts';
import { print, say, StatusLine, table } from '../../cli/lib/terminal.ts';
import type { AdaptationSpecInput } from '../../schemas/spec/adaptation-spec.ts';
import { activitiesOf } from '../../test/whole/support/history.ts';
import { engineOf, processesOf, until } from '../../test/whole/support/processes.ts';
import { stepFolder } from '../../test/whole/support/step-folder.ts';
import { openBenchPlace, type BenchPlace } from './bench-place.ts';
import { ROOT, setUpForAcceptance } from './set-up.ts';

const FINAL_TRAINING = 'peft/train';

/** The run is hit once this checkpoint is complete. */
const HIT_AFTER_CHECKPOINTS = 2;

type Victim = 'nobody' | 'trainer' | 'worker';

interface Result {
  readonly victim: Victim;
  readonly adapterSha256: string;
  readonly attempts: number;
  /** Steps that ran more than once, the disturbed training aside. */
  readonly repeated: readonly string[];
  readonly seconds: number;
}

async function specFor(train: number, settings: Settings): Promise<AdaptationSpecInput> {
  const path = join(ROOT, 'examples/product-descriptions/spec.json');
  const spec = await withStore({ settings }, async (store) => await loadSpec(path, store));
  const options = { r: 16, loraAlpha: 32, perDeviceTrainBatchSize: 4, warmupSteps: 3, saveSteps: 2 };
  return {
    ...spec,
    target: 1,
    budget: { seconds: 36_000 },
    data: { ...spec.data, sizes: { train, dev: 8, test: 8 } },
    rungs: {
      icl: { recipes: [{ shots: 1, selection: 'nearest' }] },
      peft: { learningRates: [1e-3, 2e-3], config: options },
    },
  };
}

/** Waits until the final training has left checkpoints, then kills. The worker is started again by its supervisor. */
async function strike(victim: Victim, home: string, workflowId: string, place: BenchPlace): Promise<void> {
  if (victim === 'nobody') return;
  const root = join(place.settings.home, 'store');
  const complete = async () => {
    const out = join(await stepFolder(root, workflowId, FINAL_TRAINING), 'attempt-1', 'out');
    const names = await readdir(out).catch(() => []);
    const manifests = await Promise.all(
      names.map((name) => stat(join(out, name, 'manifest.json')).catch(() => null)),
    );
    return manifests.filter((one) => one !== null).length >= HIT_AFTER_CHECKPOINTS ? true : undefined;
  };
  await until('checkpoints of the final training', complete, { timeoutMs: 3_600_000, everyMs: 50 });
  const engine = engineOf(home);
  const pid = victim === 'trainer' ? engine?.pid : engine?.parentPid;
  if (pid === undefined) throw new Error(`no ${victim} to kill`);
  say(`kill -9 of the ${victim} (${processesOf(home).find((one) => one.pid === pid)?.command})`);
  process.kill(pid, 'SIGKILL');
}

async function measure(victim: Victim, train: number, env: NodeJS.ProcessEnv): Promise<Result> {
  // A home of its own for every run: in a shared store the second run would find the first one's adapter.
  const home = await mkdtemp(join(tmpdir(), `escada-kill-${victim}-`));
  const place = await openBenchPlace(home, env);
  try {
    const handle = await place.client.startAdaptation(await specFor(train, place.settings));
    const [outcome] = await Promise.all([
      follow(place.client, handle.workflowId, new StatusLine()),
      strike(victim, home, handle.workflowId, place),
    ]);
    const activities = activitiesOf(await handle.fetchHistory());
    const training = activities.find(({ id }) => id === FINAL_TRAINING);
    const output = training?.result?.['output'] as { adapterSha256: string };
    const again = activities.filter(({ id, attempt }) => id !== FINAL_TRAINING && attempt > 1);
    const ids = activities.map(({ id }) => id);
    return {
      victim,
      adapterSha256: output.adapterSha256,
      attempts: training?.attempt ?? 0,
      repeated: [...again.map(({ id }) => id), ...ids.filter((id, at) => ids.indexOf(id) !== at)],
      seconds: outcome.seconds,
    };
  } finally {
    await place.close();
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { train: { type: 'string', default: '64' } } });
  const env = await setUpForAcceptance();
  const results: Result[] = [];
  for (const victim of ['nobody', 'trainer', 'worker'] as const) {
    say(`\n${victim === 'nobody' ? 'undisturbed' : `kill -9 of the ${victim}`}`);
    results.push(await measure(victim, Number(values.train), env));
  }
  const [calm] = results;
  const good = (one: Result) =>
    one.adapterSha256 === calm?.adapterSha256 &&
    one.repeated.length === 0 &&
    (one.victim === 'nobody' ? one.attempts === 1 : one.attempts >= 2);
  const rows = results.map((one) => [
    one.victim,
    one.adapterSha256,
    String(one.attempts),
    one.repeated.join(', ') || 'none',
    `${one.seconds.toFixed(0)} s`,
    good(one) ? 'PASS' : 'FAIL',
  ]);
  print(
    `\n${table([['killed', 'SHA-256 of the adapter', 'attempts', 'steps run again', 'run', ''], ...rows])}`,
  );
  return results.every(good) ? 0 : 1;
}

process.exitCode = await main();

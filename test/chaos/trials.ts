/** Kill -9 at random moments, and what must hold afterwards. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdaptationSpecInput } from '../../schemas/adapt/adaptation-spec.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import { createRandom, type Random } from '../../examples/lib/random.ts';
import type { HistoryActivity } from '../whole/support/history.ts';
import { activitiesOf } from '../whole/support/history.ts';
import { Place } from '../whole/support/place.ts';
import { engineOf, processesOf, until } from '../whole/support/processes.ts';
import { climb, finished, writeRows } from '../whole/support/runs.ts';
import type { TestServer } from '../whole/support/server.ts';
import { tinySpec } from '../whole/support/specs.ts';

export const VICTIMS = ['worker', 'trainer', 'server'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface Trial {
  readonly trial: number;
  readonly victim: Victim;
  /** Seconds after the start of the run. */
  readonly hitAtSeconds: number;
  /** Steps that had finished by then. */
  readonly finishedBefore: number;
  readonly runSeconds: number;
  /** Attempts of the step that needed most. */
  readonly attempts: number;
  /** What was not as it must be; empty when the trial passed. */
  readonly problems: readonly string[];
}

/** Artifacts of an undisturbed run, by step, and how long it took. */
export interface Calm {
  readonly artifacts: ReadonlyMap<string, string>;
  readonly seconds: number;
}

/** Every rung, a trial of two learning rates, and a final training with checkpoints: seconds on the tiny checkpoint. */
export function chaosSpec(): AdaptationSpecInput {
  const spec = tinySpec({ name: 'chaos' });
  const config = {
    r: 4,
    loraAlpha: 8,
    numTrainEpochs: 8,
    perDeviceTrainBatchSize: 1,
    saveSteps: 8,
    loraDropout: 0.1,
  };
  return { ...spec, rungs: { ...spec.rungs, peft: { learningRates: [1e-3, 2e-3], config } } };
}

/** Digests of all artifacts in a step's output, in a fixed order. Times and token speeds are no artifacts. */
function digestsIn(value: JsonValue | undefined): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { sha256 } = value as { readonly sha256?: JsonValue };
  if (typeof sha256 === 'string') return [sha256];
  return Object.values(value).flatMap(digestsIn);
}

/** Control activities have numbers for ids; steps have paths. */
const isStep = ({ id }: HistoryActivity) => id.includes('/');

function artifactsOf(activities: readonly HistoryActivity[]): Map<string, string> {
  return new Map(
    activities.filter(isStep).map((one) => [one.id, digestsIn(one.result?.['output']).join(' ')]),
  );
}

async function open(server: TestServer, name: string): Promise<Place> {
  const place = await Place.open(server, name);
  await writeRows(place);
  await place.startWorker();
  return place;
}

/** One run that nobody disturbs. */
export async function calmRun(server: TestServer): Promise<Calm> {
  const place = await open(server, 'calm');
  try {
    const startedMs = Date.now();
    const run = await climb(place, chaosSpec());
    return { artifacts: artifactsOf(run.activities), seconds: (Date.now() - startedMs) / 1000 };
  } finally {
    await place.close();
  }
}

/** Kills, and starts again what a service manager would start again. The trainer is started again by its worker. */
async function strike(victim: Victim, server: TestServer, place: Place): Promise<void> {
  if (victim === 'worker') {
    await place.killWorker();
    await place.startWorker();
  } else if (victim === 'server') {
    await server.kill();
    await sleep(500);
    await server.restart();
  } else {
    const engine = engineOf(place.home);
    // Between two steps there may be none: then there is nothing to kill, and the trial is a calm one.
    if (engine !== undefined) process.kill(engine.pid, 'SIGKILL');
  }
}

/** What must hold of a run that was hit: all of it, in words. */
function judge(
  activities: readonly HistoryActivity[],
  before: readonly HistoryActivity[],
  calm: Calm,
): string[] {
  const problems: string[] = [];
  const artifacts = artifactsOf(activities);
  for (const [id, digests] of calm.artifacts) {
    if (artifacts.get(id) !== digests) problems.push(`${id}: other artifacts than in the undisturbed run`);
  }
  const ids = activities.map(({ id }) => id);
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at)))
    problems.push(`${id}: scheduled twice`);
  for (const done of before) {
    const now = activities.find(({ id }) => id === done.id);
    if (now?.attempt !== done.attempt) problems.push(`${done.id}: had finished and ran again`);
  }
  return problems;
}

/** One run that is hit once, at a random moment of the time the undisturbed run took. */
export async function chaosTrial(
  server: TestServer,
  calm: Calm,
  options: { readonly trial: number; readonly random: Random },
): Promise<Trial> {
  const { trial, random } = options;
  const victim = VICTIMS[trial % VICTIMS.length] ?? 'worker';
  const hitAtSeconds = (random.below(950) / 1000) * calm.seconds;
  const place = await open(server, `chaos-${trial}`);
  const problems: string[] = [];
  try {
    const client = await place.client();
    const startedMs = Date.now();
    const { workflowId } = await client.start(chaosSpec());
    await sleep(hitAtSeconds * 1000);
    const before = activitiesOf(await client.handle(workflowId).fetchHistory()).filter(
      ({ completed }) => completed,
    );
    await strike(victim, server, place);
    await until('the run to end', () => ended(place, workflowId), { timeoutMs: 300_000, everyMs: 300 });
    const run = await finished(place, workflowId);
    const runSeconds = (Date.now() - startedMs) / 1000;
    problems.push(...judge(run.activities, before, calm));
    await place.close();
    const attempts = Math.max(...run.activities.map(({ attempt }) => attempt));
    return { trial, victim, hitAtSeconds, finishedBefore: before.length, runSeconds, attempts, problems };
  } finally {
    await place.close();
    for (const { pid, command } of processesOf(place.home)) problems.push(`left over: ${pid} ${command}`);
  }
}

/** A server that is coming up answers nothing for a moment. */
async function ended(place: Place, workflowId: string): Promise<true | undefined> {
  const client = await place.client();
  const status = await client.describe(workflowId).then(
    (description) => description.status.name,
    () => 'RUNNING',
  );
  return status === 'RUNNING' ? undefined : true;
}

/** The undisturbed run, then the trials, one after another. Equal seeds give equal victims and moments. */
export async function chaos(
  server: TestServer,
  options: { readonly trials: number; readonly seed: number; readonly onTrial?: (trial: Trial) => void },
): Promise<{ readonly calm: Calm; readonly trials: readonly Trial[] }> {
  const random = createRandom(options.seed);
  const calm = await calmRun(server);
  const trials: Trial[] = [];
  for (let trial = 0; trial < options.trials; trial += 1) {
    const result = await chaosTrial(server, calm, { trial, random });
    trials.push(result);
    options.onTrial?.(result);
  }
  return { calm, trials };
}

/** A seed for runs by hand that name none. */
export const freshSeed = (): number => randomBytes(4).readUInt32LE() & 0x7fffffff;

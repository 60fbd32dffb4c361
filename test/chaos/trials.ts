/** Faults at random moments, and what must hold afterwards. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdaptationSpecInput } from '../../schemas/spec/adaptation-spec.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import { createRandom, type Random } from '../../examples/lib/random.ts';
import type { HistoryActivity } from '../whole/support/history.ts';
import { activitiesOf } from '../whole/support/history.ts';
import { Place } from '../whole/support/place.ts';
import { processesOf, until } from '../whole/support/processes.ts';
import { runAdaptation, finished, writeRows, type FinishedRun } from '../whole/support/runs.ts';
import type { TestServer } from '../whole/support/server.ts';
import { tinySpec } from '../whole/support/specs.ts';
import { FAULTS, type Fault } from './faults.ts';

export interface Trial {
  readonly trial: number;
  /** Name of the fault. */
  readonly fault: string;
  /** Seconds after the start of the run. */
  readonly hitAtSeconds: number;
  /** Steps that had finished by then. */
  readonly finishedBefore: number;
  readonly runSeconds: number;
  /** Attempts of the step that needed most. */
  readonly attempts: number;
  /** Whether the spec had to be started again, which some faults allow. */
  readonly again: boolean;
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

async function open(server: TestServer, name: string, fault?: Fault): Promise<Place> {
  const place = await Place.open(server, name);
  await fault?.prepare?.({ server, place });
  await writeRows(place);
  await place.startWorker();
  return place;
}

/** One run that nobody disturbs. */
export async function calmRun(server: TestServer): Promise<Calm> {
  const place = await open(server, 'calm');
  try {
    const startedMs = Date.now();
    const run = await runAdaptation(place, chaosSpec());
    return { artifacts: artifactsOf(run.activities), seconds: (Date.now() - startedMs) / 1000 };
  } finally {
    await place.close();
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
  options: { readonly trial: number; readonly random: Random; readonly fault: Fault },
): Promise<Trial> {
  const { trial, random, fault } = options;
  const hitAtSeconds = (random.below(950) / 1000) * calm.seconds;
  const place = await open(server, `chaos-${trial}`, fault);
  const problems: string[] = [];
  try {
    const client = await place.client();
    const startedMs = Date.now();
    const { workflowId } = await client.startAdaptation(chaosSpec());
    await sleep(hitAtSeconds * 1000);
    const before = activitiesOf(await client.handle(workflowId).fetchHistory()).filter(
      ({ completed }) => completed,
    );
    await fault.strike({ server, place });
    await until('the run to end', () => ended(place, workflowId), { timeoutMs: 300_000, everyMs: 300 });
    const first = await conclusion(place, workflowId, fault);
    const run = first ?? (await runAdaptation(place, chaosSpec()));
    const runSeconds = (Date.now() - startedMs) / 1000;
    // What had finished before a failure that is allowed comes from the cache of the second run.
    problems.push(...judge(run.activities, first === null ? [] : before, calm));
    const attempts = Math.max(...run.activities.map(({ attempt }) => attempt));
    const finishedBefore = before.length;
    const again = first === null;
    return { trial, fault: fault.name, hitAtSeconds, finishedBefore, runSeconds, attempts, again, problems };
  } finally {
    await fault.clear?.({ server, place });
    await place.close();
    for (const { pid, command } of processesOf(place.home)) problems.push(`left over: ${pid} ${command}`);
  }
}

/** The finished run; null when it ended with the one failure, of itself or of a rung, that its fault allows. */
async function conclusion(place: Place, workflowId: string, fault: Fault): Promise<FinishedRun | null> {
  try {
    const run = await finished(place, workflowId);
    const text = JSON.stringify(run.outcome.rungs);
    return fault.mayFailWith !== undefined && text.includes(`"${fault.mayFailWith}"`) ? null : run;
  } catch (error) {
    if (fault.mayFailWith !== undefined && codesOf(error).includes(fault.mayFailWith)) return null;
    throw error;
  }
}

/** Codes of a failure and of its causes. */
function codesOf(error: unknown): string[] {
  if (typeof error !== 'object' || error === null) return [];
  const { type, cause } = error as { readonly type?: unknown; readonly cause?: unknown };
  return [...(typeof type === 'string' ? [type] : []), ...codesOf(cause)];
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

/** A trial that did not come to its end did not pass; the others continue. */
function brokenTrial(trial: number, fault: Fault, error: unknown): Trial {
  const nothing = { hitAtSeconds: 0, finishedBefore: 0, runSeconds: 0, attempts: 0, again: false };
  const messages = [...messagesOf(error)].join(' ← ');
  return { trial, fault: fault.name, ...nothing, problems: [messages] };
}

/** Messages of an error and of its causes. */
function* messagesOf(error: unknown): Generator<string> {
  for (let one = error; one instanceof Error; one = one.cause) yield one.message;
}

/** The undisturbed run, then the trials, one after another. Equal seeds and faults give equal moments. */
export async function chaos(
  server: TestServer,
  options: {
    readonly trials: number;
    readonly seed: number;
    /** Taken in turn; those that this machine lacks the means for must be left out (`absent`). */
    readonly faults?: readonly Fault[];
    readonly onTrial?: (trial: Trial) => void;
  },
): Promise<{ readonly calm: Calm; readonly trials: readonly Trial[] }> {
  const { seed, faults = FAULTS } = options;
  const random = createRandom(seed);
  const calm = await calmRun(server);
  const trials: Trial[] = [];
  for (let trial = 0; trial < options.trials; trial += 1) {
    const fault = faults[trial % faults.length];
    if (fault === undefined) throw new Error('no faults were given');
    const result = await chaosTrial(server, calm, { trial, random, fault }).catch((error: unknown) =>
      brokenTrial(trial, fault, error),
    );
    trials.push(result);
    options.onTrial?.(result);
  }
  return { calm, trials };
}

/** A seed for runs by hand that name none. */
export const freshSeed = (): number => randomBytes(4).readUInt32LE() & 0x7fffffff;

/** Training that is killed again and again, against training that nobody disturbs: every bit must be the same. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../examples/lib/random.ts';
import { EngineProcess } from '../../plugins/nf4-lora/worker/engine-process.ts';
import type { ParamsOf } from '../../plugins/sdk/process/methods.ts';
import type { METHODS } from '../../plugins/nf4-lora/worker/protocol.ts';

type Config = ParamsOf<typeof METHODS, 'train'>['config'];

/** One way of training; each is compared with its own undisturbed run. */
export interface Variant {
  readonly name: string;
  readonly weightFormat: 'nf4' | 'f32';
  readonly config: Config;
}

/** What is trained: a model, rows as a file, and where runs may write. */
export interface Setting {
  readonly model: string;
  readonly rowsPath: string;
  readonly room: string;
}

/** SHA-256 of what a run leaves behind. */
export interface Digests {
  readonly result: string;
  readonly optimizer: string;
  readonly log: string;
}

export interface ResumeTrial {
  readonly trial: number;
  readonly variant: string;
  readonly saveSteps: number;
  /** Threads of each process in turn: a run may continue with another number than it began with. */
  readonly threads: readonly number[];
  /** Last step that was reported before each kill; a process that was done before its kill counts none. */
  readonly killedAfterStep: readonly number[];
  /** Step that the last process continued from. */
  readonly resumedFromStep: number;
  readonly problems: readonly string[];
}

const MAX_KILLS = 3;
const THREADS = [1, 2, 3, 4] as const;
const SAVE_STEPS = [1, 2, 3, 5, 7, 10, 16] as const;
/** What layers keep changes memory and time, no bit. */
const KEPT = ['none', 'mlp', 'full'] as const;

interface Outcome {
  readonly lastStep: number;
  readonly resumedFromStep: number;
  readonly finished: boolean;
  readonly seconds: number;
}

interface RunOptions {
  readonly setting: Setting;
  readonly variant: Variant;
  readonly outDir: string;
  readonly saveSteps: number;
  readonly threads: number;
  readonly gradientCheckpointing?: (typeof KEPT)[number];
  /** Seconds after the training was asked for. */
  readonly killAfter?: number;
}

/** One process: loads, trains, and is killed when its time has come. */
async function runOnce(options: RunOptions): Promise<Outcome> {
  const { setting, variant, outDir, saveSteps, threads, gradientCheckpointing, killAfter } = options;
  const engine = await EngineProcess.start();
  const over = new AbortController();
  try {
    const { weightFormat } = variant;
    const quantization = { blockSize: 64, doubleQuant: true } as const;
    await engine.request('load', { path: setting.model, weightFormat, ...quantization, threads });
    const config = {
      ...variant.config,
      saveSteps,
      ...(gradientCheckpointing === undefined ? {} : { gradientCheckpointing }),
    };
    let lastStep = 0;
    const onEvent = ({ step }: { readonly step: number }) => (lastStep = step);
    const killed = killAfter === undefined ? undefined : killLater(engine.pid, killAfter, over.signal);
    const startedMs = Date.now();
    const params = { rowsPath: setting.rowsPath, outDir, config };
    const done = await engine.request('train', params, { onEvent }).then(
      (result) => result,
      async (error: unknown) => {
        over.abort();
        // Only the death that was ordered is expected here.
        if ((await killed) !== true) throw error;
        return undefined;
      },
    );
    const seconds = (Date.now() - startedMs) / 1000;
    return { lastStep, resumedFromStep: done?.resumedFromStep ?? 0, finished: done !== undefined, seconds };
  } finally {
    over.abort();
    await engine.kill();
  }
}

/** True when the process was killed here. */
async function killLater(pid: number, seconds: number, signal: AbortSignal): Promise<boolean> {
  const due = await sleep(seconds * 1000, true, { signal }).catch(() => false);
  if (due) process.kill(pid, 'SIGKILL');
  return due;
}

async function digestsOf(outDir: string, steps: number): Promise<Digests> {
  const digest = async (...parts: string[]) =>
    createHash('sha256')
      .update(await readFile(join(outDir, ...parts)))
      .digest('hex');
  const checkpoint = `checkpoint-${steps}`;
  return {
    // Names differ between an adapter and a whole model; the state holds every trained value of both.
    result: await digest('adapter', 'adapter_model.safetensors').catch(() =>
      digest('model', 'model.safetensors'),
    ),
    optimizer: await digest(checkpoint, 'state.safetensors'),
    log: await digest(checkpoint, 'log.jsonl'),
  };
}

/** The undisturbed run: its digests, and how long its training takes. */
export async function calmTraining(setting: Setting, variant: Variant) {
  const outDir = join(setting.room, `calm-${variant.name}`);
  await mkdir(outDir, { recursive: true });
  const { seconds } = await runOnce({ setting, variant, outDir, saveSteps: 1000, threads: 2 });
  return { digests: await digestsOf(outDir, variant.config.maxSteps), seconds };
}

export type Calm = Awaited<ReturnType<typeof calmTraining>>;

/** Kills one run up to three times at random moments, lets it end, and compares. */
export async function resumeTrial(
  setting: Setting,
  { variant, calm }: { readonly variant: Variant; readonly calm: Calm },
  { trial, random }: { readonly trial: number; readonly random: Random },
): Promise<ResumeTrial> {
  const outDir = join(setting.room, `trial-${trial}`);
  await mkdir(outDir);
  const saveSteps = random.pick(SAVE_STEPS);
  const kills = 1 + random.below(MAX_KILLS);
  const [threads, killedAfterStep]: [number[], number[]] = [[], []];
  let last: Outcome | undefined;
  for (let at = 0; at <= kills && last?.finished !== true; at += 1) {
    threads.push(random.pick(THREADS));
    // The last process is left alone.
    const killAfter = at === kills ? undefined : (random.below(1000) / 1000) * calm.seconds;
    const gradientCheckpointing = random.pick(KEPT);
    const own = { threads: threads[at] ?? 1, gradientCheckpointing, killAfter };
    last = await runOnce({ setting, variant, outDir, saveSteps, ...own });
    if (!last.finished) killedAfterStep.push(last.lastStep);
  }
  const digests = await digestsOf(outDir, variant.config.maxSteps);
  const problems = (Object.keys(calm.digests) as (keyof Digests)[])
    .filter((name) => digests[name] !== calm.digests[name])
    .map((name) => `other ${name} than undisturbed`);
  const resumedFromStep = last?.resumedFromStep ?? 0;
  return { trial, variant: variant.name, saveSteps, threads, killedAfterStep, resumedFromStep, problems };
}

/** All trials, the variants in turn. Equal seeds give equal moments, intervals and threads. */
export async function resumeTrials(
  setting: Setting,
  variants: readonly Variant[],
  options: { readonly trials: number; readonly seed: number; readonly onTrial?: (one: ResumeTrial) => void },
): Promise<ResumeTrial[]> {
  const random = createRandom(options.seed);
  const calm: { variant: Variant; calm: Calm }[] = [];
  for (const variant of variants) calm.push({ variant, calm: await calmTraining(setting, variant) });
  const done: ResumeTrial[] = [];
  for (let trial = 0; trial < options.trials; trial += 1) {
    const chosen = calm[trial % calm.length];
    if (chosen === undefined) throw new RangeError('no variants');
    const one = await resumeTrial(setting, chosen, { trial, random });
    done.push(one);
    options.onTrial?.(one);
  }
  return done;
}

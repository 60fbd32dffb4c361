/**
 * `npm run bench:engine [-- --json] [--shape smollm2|llama-1024|llama-2048] [--pairs 5] [--steps 20] [--warm-up 3] [--threads 2] [--arms a,b]
 * [--generation-only] [--out FILE]`: our engine against PyTorch + PEFT and llama.cpp on SmolLM2, in turns, each turn a
 * fresh process. Development only: it needs the references (`tools/reference`). Prints a table; with `--json` the whole
 * result instead.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { DEFAULT_MODEL } from '../../runtime/bootstrap/model.mjs';
import type { Arm, Output } from './arms.ts';
import { SHAPES, prepare, type Options } from './prepare.ts';
import { goals, summarize, tableRows } from './summary.ts';
import { NEW_TOKENS, PROMPT_TOKENS, ROWS, ROW_TOKENS } from './task.ts';

function readOptions(): Options {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      pairs: text('5'),
      steps: text('20'),
      'warm-up': text('3'),
      threads: text('2'),
      'generation-only': { type: 'boolean', default: false },
      shape: text('smollm2'),
      arms: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const count = (name: 'pairs' | 'steps' | 'warm-up' | 'threads', least: number) => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least)
      throw new Error(`--${name}: whole number from ${least} on`);
    return value;
  };
  if (!Object.hasOwn(SHAPES, values.shape))
    throw new Error(`--shape: one of ${Object.keys(SHAPES).join(', ')}, not "${values.shape}"`);
  return {
    json: values.json,
    pairs: count('pairs', 1),
    steps: count('steps', 1),
    warmUp: count('warm-up', 0),
    threads: count('threads', 1),
    generationOnly: values['generation-only'],
    shape: values.shape,
    arms: values.arms?.split(','),
    out: values.out,
  };
}

/** One finished process and the machine's load when it started. */
type Run = Output & { readonly loadBefore: number };

/** Every arm once per pair, in turns; every second pair in reverse, so that a drift of the machine hits both sides. */
async function measure(
  chosen: readonly Arm[],
  pairs: number,
  afterPair: (runs: Map<string, Run[]>, done: number) => Promise<void>,
): Promise<void> {
  const runs = new Map(chosen.map((arm) => [arm.id, [] as Run[]]));
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const arm of pair % 2 === 0 ? chosen : [...chosen].reverse()) {
      const startMs = Date.now();
      const loadBefore = Number((loadavg()[0] ?? 0).toFixed(2));
      runs.get(arm.id)?.push({ ...(await arm.run()), loadBefore });
      const seconds = ((Date.now() - startMs) / 1000).toFixed(0);
      say(`pair ${pair + 1} of ${pairs}: ${arm.id} ${seconds} s (load before it ${loadBefore})`);
    }
    await afterPair(runs, pair + 1);
  }
}

function machine(): object {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    loadAverages: loadavg().map((load) => Number(load.toFixed(2))),
  };
}

/** Everything about the pairs done so far. */
function resultOf(chosen: readonly Arm[], runs: Map<string, Run[]>, pairs: number, options: Options) {
  const summaries = chosen.map((arm) => summarize(arm, runs.get(arm.id) ?? []));
  const { steps, warmUp, threads, generationOnly } = options;
  const task = { rows: ROWS, rowTokens: ROW_TOKENS, promptTokens: PROMPT_TOKENS, newTokens: NEW_TOKENS };
  return {
    measuredAt: new Date().toISOString(),
    model: options.shape === 'smollm2' ? DEFAULT_MODEL : `${options.shape}, random weights`,
    machine: machine(),
    versions: Object.assign({}, ...[...runs.values()].flat().map((run) => run.versions)) as object,
    settings: { pairs, steps, warmUp, threads, generationOnly, ...task },
    goals: goals(summaries),
    summaries,
    raw: Object.fromEntries(runs),
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  const room = await mkdtemp(join(tmpdir(), 'escada-bench-engine-'));
  try {
    const chosen = await prepare(options, room);
    let result: ReturnType<typeof resultOf> | undefined;
    await measure(chosen, options.pairs, async (runs, done) => {
      result = resultOf(chosen, runs, done, options);
      // After every pair: what an interrupted run has measured is not lost.
      if (options.out !== undefined) await writeFile(options.out, `${JSON.stringify(result)}\n`);
    });
    if (result === undefined) return;
    if (options.json) return print(JSON.stringify(result));
    print(table(tableRows(result.summaries)));
    for (const { goal, measured, met } of result.goals)
      print(`${met ? 'met' : 'MISSED'}: ${goal}: ${measured.toFixed(2)}`);
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

await main();

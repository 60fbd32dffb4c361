/**
 * `npm run bench:memory [-- --json] [--format nf4|f32] [--method lora|full] [--rows 8] [--row-tokens 256] [--steps 3]
 * [--pairs 2] [--threads 2] [--out FILE]`: planned and measured peak of resident memory and seconds a step on SmolLM2 for each
 * setting of `gradientCheckpointing`. Each training is a fresh process; settings take turns, every second pair in reverse.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { print, table } from '../../cli/lib/terminal.ts';
import { memoryPlanSchema } from '../../plugins/nf4-lora/worker/protocol.ts';
import { DEFAULT_MODEL, ensureModel } from '../../tools/bootstrap/lib/model.mjs';
import { createProgress } from '../../tools/bootstrap/lib/progress.mjs';
import { buildExample, runForJson } from '../../tools/reference/programs.ts';
import { LORA } from './task.ts';

const SETTINGS = ['keep', 'recompute-mlp', 'checkpoint'] as const;

const runSchema = z.object({
  residentBytes: z.number(),
  plannedPeakBytes: z.number(),
  measuredPeakBytes: z.number(),
  memoryPlan: memoryPlanSchema,
  stepSeconds: z.array(z.number()).min(1),
  sha256: z.string(),
});
type Run = z.infer<typeof runSchema> & { readonly setting: string };

function readOptions() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      format: { type: 'string', default: 'nf4' },
      method: { type: 'string', default: 'lora' },
      rows: { type: 'string', default: '8' },
      'row-tokens': { type: 'string', default: '256' },
      steps: { type: 'string', default: '3' },
      pairs: { type: 'string', default: '2' },
      threads: { type: 'string', default: '2' },
      out: { type: 'string' },
    },
  });
  const whole = (name: 'rows' | 'row-tokens' | 'steps' | 'pairs' | 'threads') => {
    const value = Number(values[name]);
    if (!(Number.isInteger(value) && value > 0)) throw new Error(`--${name}: whole number from 1 on`);
    return value;
  };
  const [rows, rowTokens, steps] = [whole('rows'), whole('row-tokens'), whole('steps')];
  const [pairs, threads] = [whole('pairs'), whole('threads')];
  return { ...values, rows, rowTokens, steps, pairs, threads };
}
type Options = ReturnType<typeof readOptions>;

/** One training in a process of its own. */
async function measure(program: string, room: string, model: string, setting: string, options: Options) {
  const { format, method, rows, rowTokens, steps, threads } = options;
  const { r, loraAlpha, loraDropout, targetModules, ...shared } = LORA;
  const config = {
    ...shared,
    ...(method === 'full' ? { method } : { r, loraAlpha, loraDropout, targetModules }),
    perDeviceTrainBatchSize: rows,
    maxSteps: steps,
    maxSeqLengthTokens: rowTokens,
    seed: 1,
    gradientCheckpointing: setting,
  };
  const outDir = await mkdtemp(join(room, 'run-'));
  const task = join(outDir, 'task.json');
  await writeFile(task, JSON.stringify({ model, format, threads, rows, rowTokens, outDir, config }));
  const run: Run = { setting, ...runSchema.parse(await runForJson(program, [task])) };
  await rm(outDir, { recursive: true });
  return run;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** One line a setting: largest measured peak, median step (the first of each run warms up, where there are more). */
function show(runs: readonly Run[]): void {
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const step = (of: readonly Run[]) =>
    median(of.flatMap(({ stepSeconds }) => (stepSeconds.length > 1 ? stepSeconds.slice(1) : stepSeconds)));
  const all = SETTINGS.map((setting) => runs.filter((run) => run.setting === setting));
  const slowest = step(all[0] ?? []);
  const lines = all.flatMap((of) => {
    const [run] = of;
    if (run === undefined) return [];
    const measured = Math.max(...of.map(({ measuredPeakBytes }) => measuredPeakBytes));
    const off = `${(100 * (measured / run.plannedPeakBytes - 1)).toFixed(1)} %`;
    const seconds = step(of);
    const { savedBytes, workingBytes } = run.memoryPlan;
    const bytes = [run.residentBytes, savedBytes, workingBytes, run.plannedPeakBytes, measured].map(
      mebibytes,
    );
    return [[run.setting, ...bytes, off, seconds.toFixed(2), (seconds / slowest).toFixed(2)]];
  });
  const head = ['setting', 'resident', 'saved', 'working', 'planned', 'measured', 'off', 's/step', 'of keep'];
  print('MiB; peaks of resident memory, planned before the first step and measured');
  print(table([head, ...lines]));
}

async function main(): Promise<void> {
  const options = readOptions();
  const room = await mkdtemp(join(tmpdir(), 'escada-bench-memory-'));
  try {
    const progress = createProgress();
    const { path: model } = await ensureModel({ id: DEFAULT_MODEL, progress });
    progress.close();
    const program = await buildExample('escada-engine-core', 'memory_peak');
    const runs: Run[] = [];
    for (let pair = 0; pair < options.pairs; pair++)
      for (const setting of pair % 2 === 0 ? SETTINGS : SETTINGS.toReversed())
        runs.push(await measure(program, room, model, setting, options));
    if (new Set(runs.map(({ sha256 }) => sha256)).size !== 1)
      throw new Error('the settings trained differently');
    const result = { measuredAt: new Date().toISOString(), cpu: cpus()[0]?.model, ...options, runs };
    if (options.out !== undefined) await writeFile(options.out, `${JSON.stringify(result)}\n`);
    if (options.json) print(JSON.stringify(result));
    else show(runs);
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

await main();

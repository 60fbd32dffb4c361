/**
 * `npm run bench:memory [-- --json] [--format nf4|f32] [--method lora|full] [--rows 8] [--row-tokens 256] [--steps 2]
 * [--rounds 6] [--threads 2] [--out FILE]`: planned and measured peak of resident memory of a training on SmolLM2 for each setting
 * of `gradientCheckpointing`, each in a fresh process; then seconds of a forward and backward pass (LoRA), the settings in turns
 * within one process (which holds the memory of all three).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { print, table } from '../../cli/lib/terminal.ts';
import { memoryPlanSchema } from '../../plugins/nf4-lora/worker/protocol.ts';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { buildExample, runForJson } from '../../tools/reference/programs.ts';
import { LORA } from './task.ts';

const SETTINGS = ['none', 'mlp', 'full'] as const;

const speedSchema = z.record(z.enum(SETTINGS), z.array(z.number()).min(1));
type Speed = z.infer<typeof speedSchema>;

const runSchema = z.object({
  residentBytes: z.number(),
  plannedPeakBytes: z.number(),
  measuredPeakBytes: z.number(),
  memoryPlan: memoryPlanSchema,
  stepSeconds: z.array(z.number()).min(1),
  sha256: z.string(),
});
type Run = z.infer<typeof runSchema> & { readonly setting: (typeof SETTINGS)[number] };

function readOptions() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      format: { type: 'string', default: 'nf4' },
      method: { type: 'string', default: 'lora' },
      rows: { type: 'string', default: '8' },
      'row-tokens': { type: 'string', default: '256' },
      steps: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '6' },
      threads: { type: 'string', default: '2' },
      out: { type: 'string' },
    },
  });
  const whole = (name: 'rows' | 'row-tokens' | 'steps' | 'rounds' | 'threads') => {
    const value = Number(values[name]);
    if (!(Number.isInteger(value) && value > 0)) throw new Error(`--${name}: whole number from 1 on`);
    return value;
  };
  const oneOf = <T extends string>(name: 'format' | 'method', known: readonly T[]): T => {
    const value = known.find((one) => one === values[name]);
    if (value === undefined) throw new Error(`--${name}: one of ${known.join(', ')}, not "${values[name]}"`);
    return value;
  };
  const [format, method] = [oneOf('format', ['nf4', 'f32']), oneOf('method', ['lora', 'full'])];
  const [rows, rowTokens, steps] = [whole('rows'), whole('row-tokens'), whole('steps')];
  const [rounds, threads] = [whole('rounds'), whole('threads')];
  return { ...values, format, method, rows, rowTokens, steps, rounds, threads };
}
type Options = ReturnType<typeof readOptions>;

/** One training in a process of its own. */
async function measure(
  program: string,
  room: string,
  model: string,
  setting: (typeof SETTINGS)[number],
  options: Options,
) {
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

/** One line a setting; times are medians with their extremes, and the median of each round's time over that of `none`. */
function show(runs: readonly Run[], speed: Speed): void {
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const lines = runs.map((run) => {
    const { savedBytes, workingBytes } = run.memoryPlan;
    const { residentBytes, plannedPeakBytes, measuredPeakBytes } = run;
    const bytes = [residentBytes, savedBytes, workingBytes, plannedPeakBytes, measuredPeakBytes];
    const off = `${(100 * (measuredPeakBytes / plannedPeakBytes - 1)).toFixed(1)} %`;
    const times = speed[run.setting];
    const spread = `${Math.min(...times).toFixed(2)}-${Math.max(...times).toFixed(2)}`;
    const ratio = median(times.map((seconds, round) => seconds / (speed.none[round] ?? Number.NaN)));
    return [run.setting, ...bytes.map(mebibytes), off, median(times).toFixed(2), spread, ratio.toFixed(2)];
  });
  const head = ['setting', 'resident', 'saved', 'working', 'planned', 'measured', 'off', 's', '', 'of none'];
  print('MiB, peaks of resident memory; seconds of a forward and backward pass');
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
    for (const setting of SETTINGS) runs.push(await measure(program, room, model, setting, options));
    if (new Set(runs.map(({ sha256 }) => sha256)).size !== 1)
      throw new Error('the settings trained differently');
    const { format, threads, rows, rowTokens, rounds } = options;
    const args = [model, format, ...[threads, rows, rowTokens, rounds].map(String)];
    const timing = await buildExample('escada-engine-core', 'activation_speed');
    const speed = speedSchema.parse(await runForJson(timing, args));
    const result = { measuredAt: new Date().toISOString(), cpu: cpus()[0]?.model, ...options, runs, speed };
    if (options.out !== undefined) await writeFile(options.out, `${JSON.stringify(result)}\n`);
    if (options.json) print(JSON.stringify(result));
    else show(runs, speed);
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

await main();

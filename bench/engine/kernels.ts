/**
 * `npm run bench:kernels [-- --json] [--format f32|nf4] [--sixteen-bits] [--steps 5] [--threads 2] [--out FILE]`: what every operation of the
 * engine takes on SmolLM2 (a training step, one decoded token for 1 and for 8 rows), against what the machine can do at
 * most, measured in the same run. Bytes are those an operation has to move at least: each operand once.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { print, table } from '../../cli/lib/terminal.ts';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { buildExample, runForJson } from '../../tools/reference/programs.ts';
import { writeTask } from './task.ts';

const SEED = 1;
/** Operations below this share of a phase are one line together. */
const MIN_SHARE = 0.005;

const kernelSchema = z.object({
  /** Of one step, as everything here. */
  calls: z.number(),
  seconds: z.number(),
  flop: z.number(),
  bytes: z.number(),
});
type Kernel = z.infer<typeof kernelSchema>;

const outputSchema = z.object({
  threads: z.number(),
  /** Multiply-adds on registers, all threads: median of what was measured between the steps. */
  peakGflops: z.number(),
  /** Copying in memory, bytes read and written. */
  copyGbytesPerSecond: z.number(),
  phases: z.record(z.string(), z.record(z.string(), kernelSchema)),
});
type Output = z.infer<typeof outputSchema>;

const FORMATS = ['f32', 'nf4'] as const;

function readOptions() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      format: { type: 'string', default: 'f32' },
      'sixteen-bits': { type: 'boolean', default: false },
      steps: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      out: { type: 'string' },
    },
  });
  const format = FORMATS.find((known) => known === values.format);
  if (format === undefined) throw new Error(`--format: one of ${FORMATS.join(', ')}`);
  const [steps, threads] = [Number(values.steps), Number(values.threads)];
  if (!(Number.isInteger(steps) && steps > 0)) throw new Error('--steps: whole number from 1 on');
  if (!(Number.isInteger(threads) && threads > 0)) throw new Error('--threads: whole number from 1 on');
  return { ...values, format, steps, threads, sixteenBits: values['sixteen-bits'] };
}

/** The longest first; what takes next to nothing together at the end. */
function lines(kernels: Readonly<Record<string, Kernel>>, { peakGflops, copyGbytesPerSecond }: Output) {
  const total = Object.values(kernels).reduce((sum, { seconds }) => sum + seconds, 0);
  const all = Object.entries(kernels).sort(([, a], [, b]) => b.seconds - a.seconds);
  const shown = all.filter(([, { seconds }]) => seconds >= MIN_SHARE * total);
  const rest = all.slice(shown.length).reduce((sum, [, { seconds }]) => sum + seconds, 0);
  const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
  const rows = shown.map(([name, k]) => {
    const [gflops, gbytes] = [k.flop / k.seconds / 1e9, k.bytes / k.seconds / 1e9];
    return [
      name,
      k.calls.toFixed(0),
      (k.seconds * 1e3).toFixed(1),
      `${((100 * k.seconds) / total).toFixed(1)} %`,
      (k.flop / 1e9).toFixed(1),
      (k.bytes / 1e6).toFixed(0),
      gflops.toFixed(0),
      percent(gflops / peakGflops),
      gbytes.toFixed(1),
      percent(gbytes / copyGbytesPerSecond),
    ];
  });
  return [...rows, ['others', '', (rest * 1e3).toFixed(1), `${((100 * rest) / total).toFixed(1)} %`]];
}

function show(output: Output): void {
  const peak = `${output.peakGflops.toFixed(0)} GFLOP/s of multiply-adds`;
  print(`${output.threads} threads: at most ${peak}, ${output.copyGbytesPerSecond.toFixed(1)} GB/s copied`);
  const head = ['operation', 'calls', 'ms', 'share', 'GFLOP', 'MB', 'GFLOP/s', 'of peak', 'GB/s', 'of copy'];
  for (const [phase, kernels] of Object.entries(output.phases)) {
    const total = Object.values(kernels).reduce((sum, { seconds }) => sum + seconds, 0);
    print(`\n${phase}: ${(total * 1e3).toFixed(0)} ms`);
    print(table([head, ...lines(kernels, output)]));
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  const room = await mkdtemp(join(tmpdir(), 'escada-bench-kernels-'));
  try {
    const progress = createProgress();
    const { path: model } = await ensureModel({ id: DEFAULT_MODEL, progress });
    progress.close();
    const program = await buildExample('escada-engine-core', 'kernel_table');
    const task = join(room, 'task.json');
    const { steps, threads, format, sixteenBits } = options;
    const shared = { model, threads, sixteenBits, warmUp: 1, calls: 1, seed: SEED };
    await writeTask(task, format, { ...shared, steps });
    const output = outputSchema.parse(await runForJson(program, [task]));
    const result = {
      measuredAt: new Date().toISOString(),
      cpu: cpus()[0]?.model,
      format,
      sixteenBits,
      steps,
      ...output,
    };
    if (options.out !== undefined) await writeFile(options.out, `${JSON.stringify(result)}\n`);
    if (options.json) print(JSON.stringify(result));
    else show(output);
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

await main();

/** What stands before the first measurement: programs, task files, models, and the chosen arms. */
import { join } from 'node:path';
import { say } from '../../cli/lib/terminal.ts';
import { ensureEngine } from '../../tools/bootstrap/lib/engine.mjs';
import { DEFAULT_MODEL, ensureModel } from '../../tools/bootstrap/lib/model.mjs';
import { createProgress } from '../../tools/bootstrap/lib/progress.mjs';
import { ExportingEngine } from '../../tools/reference/exports-engine.ts';
import { llamaClient } from '../../tools/reference/llama/client.ts';
import { ROOT, buildExample } from '../../tools/reference/programs.ts';
import { referencePython } from '../../tools/reference/venv.ts';
import { arms, bf16Environment, type Arm, type Place } from './arms.ts';
import { writeTask } from './task.ts';

const SEED = 1;

/** The command line. */
export interface Options {
  readonly json: boolean;
  readonly pairs: number;
  readonly steps: number;
  readonly warmUp: number;
  readonly threads: number;
  readonly generationOnly: boolean;
  readonly arms: readonly string[] | undefined;
  readonly out: string | undefined;
}

/** Programs, task files and models; what an arm needs is made only when it is among the chosen. */
export async function prepare(options: Options, room: string): Promise<Arm[]> {
  const wants = (id: string) => options.arms === undefined || options.arms.some((arm) => arm.startsWith(id));
  const progress = createProgress();
  const { path: model } = await ensureModel({ id: DEFAULT_MODEL, progress });
  const gguf = { f16: join(room, 'base-f16.gguf'), q4_0: join(room, 'base-q4_0.gguf') };
  if (wants('llama.cpp')) {
    await ensureEngine({ root: ROOT, progress });
    await writeBases(room, model, gguf);
  }
  progress.close();
  const python = wants('pytorch') ? await referencePython(say) : '';
  const llama = wants('llama.cpp') ? await llamaClient(say) : '';
  const engine = await buildExample('escada-engine-core', 'bench_engine');
  const tasks = { f32: join(room, 'f32.json'), nf4: join(room, 'nf4.json') };
  const { threads, warmUp, steps, generationOnly } = options;
  const calls = Math.ceil(steps / 4);
  for (const format of ['f32', 'nf4'] as const) {
    const task = { model, threads, warmUp, steps, calls, generationOnly, seed: SEED };
    await writeTask(tasks[format], format, task);
  }
  const bf16Env = wants('pytorch-bf16') ? await bf16Environment(python) : {};
  if (Object.keys(bf16Env).length > 0) say(`bf16 of PyTorch runs under ${JSON.stringify(bf16Env)}`);
  return chosenOf(arms({ engine, python, tasks, threads, bf16Env, llama, gguf }), options.arms);
}

function chosenOf(all: readonly Arm[], wanted: readonly string[] | undefined): Arm[] {
  const chosen = all.filter(({ id }) => wanted?.includes(id) ?? true);
  if (chosen.length !== (wanted?.length ?? all.length)) {
    throw new Error(`--arms: known are ${all.map(({ id }) => id).join(', ')}`);
  }
  return chosen;
}

/** The base as llama.cpp reads it, from the very weights that the other arms load. */
async function writeBases(room: string, model: string, { f16, q4_0 }: Place['gguf']): Promise<void> {
  const engine = await ExportingEngine.start(room, model);
  try {
    await engine.export(f16, 'gguf-f16');
    await engine.export(q4_0, 'gguf-q4_0');
  } finally {
    await engine.close();
  }
}

/** What is prepared before the first measurement: programs, task files, models, and the chosen arms. */
import { join } from 'node:path';
import { say } from '../../cli/lib/terminal.ts';
import { ensureEngine } from '../../runtime/bootstrap/engine.mjs';
import { runOrFail } from '../../runtime/bootstrap/exec.mjs';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { ExportingEngine } from '../../tools/reference/exports-engine.ts';
import { llamaClient } from '../../tools/reference/llama/client.ts';
import { ROOT, buildExample } from '../../tools/reference/programs.ts';
import { referencePython } from '../../tools/reference/venv.ts';
import { TASKS, arms, bf16Environment, type Arm, type Place, type TaskName } from './arms.ts';
import { writeTask } from './task.ts';

const SEED = 1;
/** Shape by name: width of a Llama of four layers with random weights; the real model has none. */
export const SHAPES: Readonly<Record<string, number | undefined>> = {
  smollm2: undefined,
  'llama-1024': 1024,
  'llama-2048': 2048,
};
/** A model folder has to have a tokenizer; token ids come from the task. */
const ANY_TOKENIZER = 'test/fixtures/tiny-llama3';

/** The command line. */
export interface Options {
  readonly json: boolean;
  readonly pairs: number;
  readonly steps: number;
  readonly warmUp: number;
  readonly threads: number;
  readonly generationOnly: boolean;
  /** A key of `SHAPES`. */
  readonly shape: string;
  readonly arms: readonly string[] | undefined;
  readonly out: string | undefined;
}

/** Programs, task files and models; what an arm needs is made only when it is among the chosen. */
export async function prepare(options: Options, room: string): Promise<Arm[]> {
  const width = SHAPES[options.shape];
  const wants = (id: string) => options.arms === undefined || options.arms.some((arm) => arm.startsWith(id));
  const python = wants('pytorch') || width !== undefined ? await referencePython(say) : '';
  const gguf = { f16: join(room, 'base-f16.gguf'), q4_0: join(room, 'base-q4_0.gguf') };
  // GGUF is written from a GGUF base only, which random shapes do not have.
  const withLlama = wants('llama.cpp') && width === undefined;
  const model = await modelOf(room, { width, python, gguf: withLlama ? gguf : undefined });
  const llama = withLlama ? await llamaClient(say) : '';
  const engine = await buildExample('escada-engine-core', 'bench_engine');
  const file = (name: TaskName) => join(room, `${name}.json`);
  const tasks = Object.fromEntries(TASKS.map((name) => [name, file(name)])) as Record<TaskName, string>;
  const { threads, warmUp, steps, generationOnly } = options;
  const calls = Math.ceil(steps / 4);
  for (const name of TASKS) {
    const sixteenBits = name.endsWith('-16bit');
    const task = { model, threads, warmUp, steps, calls, generationOnly, sixteenBits, seed: SEED };
    await writeTask(tasks[name], name.startsWith('nf4') ? 'nf4' : 'f32', task);
  }
  const bf16Env = wants('pytorch-bf16') ? await bf16Environment(python) : {};
  if (Object.keys(bf16Env).length > 0) say(`bf16 of PyTorch runs under ${JSON.stringify(bf16Env)}`);
  const all = arms({ engine, python, tasks, threads, bf16Env, llama, gguf });
  return chosenOf(
    all.filter(({ side }) => side !== 'llama.cpp' || width === undefined),
    options.arms,
  );
}

interface ModelOptions {
  readonly width: number | undefined;
  readonly python: string;
  /** Where to write the base for llama.cpp; nothing when undefined. */
  readonly gguf: Place['gguf'] | undefined;
}

/** Path of the real model, or of a random one made in the room. */
async function modelOf(room: string, { width, python, gguf }: ModelOptions): Promise<string> {
  if (width !== undefined) {
    const out = join(room, `llama-${width}`);
    const args = ['bench/reference/make_llama.py', String(width), ANY_TOKENIZER, out];
    await runOrFail('make_llama.py', python, args, { cwd: ROOT });
    return out;
  }
  const progress = createProgress();
  try {
    const { path } = await ensureModel({ id: DEFAULT_MODEL, progress });
    if (gguf === undefined) return path;
    await ensureEngine({ root: ROOT, progress });
    await writeBases(room, path, gguf);
    return path;
  } finally {
    progress.close();
  }
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

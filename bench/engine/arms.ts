/** The measured programs and what they print. */
import { z } from 'zod';
import { run } from '../../runtime/bootstrap/exec.mjs';
import { runForJson } from '../../tools/reference/programs.ts';

const phaseSchema = z.object({
  /** Of each timed call. */
  seconds: z.array(z.number().positive()),
  /** Highest resident memory of the process during the phase. */
  peakRssBytes: z.number().positive(),
});

/** Greedy generation; the rest where the program reports it. */
const generationSchema = phaseSchema.extend({
  /** Of each call, until every row had its first token. */
  promptSeconds: z.array(z.number().positive()).optional(),
  /** Of each call, by the clock of the library behind the program: passes through the model only. */
  ownSeconds: z.array(z.number().positive()).optional(),
});

/** Output of the programs; llama.cpp only loads and generates. */
export const outputSchema = z.object({
  load: phaseSchema,
  /** All rows at once. */
  generate: generationSchema,
  /** The first row alone. */
  generateOne: generationSchema,
  forward: phaseSchema.optional(),
  train: phaseSchema.optional(),
  lossesNats: z.array(z.number()).optional(),
  gemmGflops: z.number().positive().optional(),
  importSeconds: z.number().optional(),
  isaClass: z.string().optional(),
  versions: z.record(z.string(), z.string()).optional(),
});
export type Output = z.infer<typeof outputSchema>;

/** One column of the table. */
export interface Arm {
  readonly id: string;
  readonly side: 'escada' | 'pytorch' | 'llama.cpp';
  /** Weights and arithmetic. */
  readonly precision: string;
  readonly run: () => Promise<Output>;
}

export const TASKS = ['f32', 'nf4', 'f32-16bit', 'nf4-16bit'] as const;
export type TaskName = (typeof TASKS)[number];

/** Programs and task files. */
export interface Place {
  readonly engine: string;
  readonly python: string;
  /** Task files by weight format, and those of the engine's training in 16 bits. */
  readonly tasks: Readonly<Record<TaskName, string>>;
  readonly threads: number;
  readonly bf16Env: NodeJS.ProcessEnv;
  /** Folder with node-llama-cpp. */
  readonly llama: string;
  /** Where the base model is written for llama.cpp, by format. */
  readonly gguf: Readonly<Record<'f16' | 'q4_0', string>>;
}

/** All arms. The engine's 16 bits are integers with shared scales, PyTorch's are bfloat16. */
export function arms({ engine, python, tasks, threads, bf16Env, llama, gguf }: Place): readonly Arm[] {
  const ours = async (task: TaskName) => outputSchema.parse(await runForJson(engine, [tasks[task]]));
  const env = { ...process.env, OMP_NUM_THREADS: String(threads), HF_HUB_OFFLINE: '1' };
  const theirs = async (precision: string, extra: NodeJS.ProcessEnv = {}) => {
    const args = ['bench/reference/bench_torch.py', tasks.f32, precision];
    return outputSchema.parse(await runForJson(python, args, { env: { ...env, ...extra } }));
  };
  const llamaCpp = async (format: 'f16' | 'q4_0') => {
    const args = ['bench/reference/bench_llama.ts', llama, tasks.f32, gguf[format]];
    return outputSchema.parse(await runForJson(process.execPath, args));
  };
  return [
    { id: 'escada-f32', side: 'escada', precision: 'fp32', run: () => ours('f32') },
    { id: 'pytorch-fp32', side: 'pytorch', precision: 'fp32', run: () => theirs('fp32') },
    { id: 'escada-nf4', side: 'escada', precision: 'nf4 weights, fp32 arithmetic', run: () => ours('nf4') },
    {
      id: 'pytorch-nf4',
      side: 'pytorch',
      precision: 'nf4 weights, fp32 arithmetic',
      run: () => theirs('nf4'),
    },
    {
      id: 'escada-nf4-16bit',
      side: 'escada',
      precision: 'nf4 weights, training products in 16 bits',
      run: () => ours('nf4-16bit'),
    },
    {
      id: 'escada-f32-16bit',
      side: 'escada',
      precision: 'training products in 16 bits',
      run: () => ours('f32-16bit'),
    },
    { id: 'pytorch-bf16', side: 'pytorch', precision: 'bf16', run: () => theirs('bf16', bf16Env) },
    {
      id: 'llama.cpp-f16',
      side: 'llama.cpp',
      precision: 'F16 weights and cache',
      run: () => llamaCpp('f16'),
    },
    {
      id: 'llama.cpp-q4_0',
      side: 'llama.cpp',
      precision: 'Q4_0 weights (4.5 bits), embedding and head Q8_0, F16 cache',
      run: () => llamaCpp('q4_0'),
    },
  ];
}

const BF16_PRODUCT = 'import torch;x=torch.ones(64,64,dtype=torch.bfloat16);torch.nn.functional.linear(x,x)';

/**
 * Variables under which PyTorch's bf16 products run here: none, or a bound on its instruction sets where the processor
 * lists AMX but the machine does not let programs use it (they would die of an illegal instruction).
 */
export async function bf16Environment(python: string): Promise<NodeJS.ProcessEnv> {
  const candidates: NodeJS.ProcessEnv[] = [
    {},
    { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_BF16' },
    { ONEDNN_MAX_CPU_ISA: 'AVX2' },
  ];
  for (const extra of candidates) {
    const works = await run(python, ['-c', BF16_PRODUCT], { env: { ...process.env, ...extra } }).then(
      ({ code }) => code === 0,
      () => false,
    );
    if (works) return extra;
  }
  throw new Error('PyTorch cannot multiply in bf16 on this machine; leave it out with --arms');
}

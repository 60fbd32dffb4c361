/** What every measured process does: the same rows of random tokens, the same LoRA settings. */
import { writeFile } from 'node:fs/promises';

/** Rows of a batch and the token positions of each that go through the model. */
export const ROWS = 8;
export const ROW_TOKENS = 128;
/** Greedy generation: tokens of each prompt, and new ones. */
export const PROMPT_TOKENS = 64;
export const NEW_TOKENS = 32;

/** What can be shortened. */
export interface TaskOptions {
  readonly model: string;
  readonly threads: number;
  readonly warmUp: number;
  /** Timed calls of training, after `warmUp`. */
  readonly steps: number;
  /** Timed calls of forward passes and of generation, after one. */
  readonly calls: number;
  /** Only load and generate. Default false. */
  readonly generationOnly?: boolean;
  /** Whether the engine may train in 16 bits. Default false. */
  readonly sixteenBits?: boolean;
  readonly seed: number;
}

/** Hyper-parameters of the measured trainings. */
export const LORA = {
  r: 16,
  loraAlpha: 32,
  loraDropout: 0,
  targetModules: 'all-linear',
  learningRate: 2e-4,
  lrSchedulerType: 'constant',
  warmupSteps: 0,
  optim: 'adamw_torch',
  packing: false,
  weightDecay: 0,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  maxGradNorm: 1,
  perDeviceTrainBatchSize: ROWS,
  gradientAccumulationSteps: 1,
  numTrainEpochs: 1,
  maxSteps: -1,
  maxSeqLengthTokens: 512,
  saveSteps: 100,
};

/** Writes the task for one weight format of the engine (PyTorch reads the same file). */
export async function writeTask(file: string, format: 'f32' | 'nf4', options: TaskOptions): Promise<void> {
  const { seed, generationOnly = false, sixteenBits = false, ...rest } = options;
  const task = {
    ...rest,
    generationOnly,
    format,
    rows: randomRows(seed),
    // Every position carries loss: a side that skips the head where there is none must not gain by that here.
    labelledFrom: 1,
    promptTokens: PROMPT_TOKENS,
    newTokens: NEW_TOKENS,
    config: { ...LORA, seed, bf16: sixteenBits },
  };
  await writeFile(file, JSON.stringify(task));
}

/** `[ROWS][ROW_TOKENS + 1]` ordinary token ids; no two rows share a start, so that no side can share work. */
function randomRows(seed: number): number[][] {
  let state = (seed + 1) * 0x9e3779b1;
  const next = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    return (state ^ (state >>> 14)) >>> 0;
  };
  return Array.from({ length: ROWS }, () =>
    Array.from({ length: ROW_TOKENS + 1 }, () => 100 + (next() % 40_000)),
  );
}

/** What the engine's tests share: the tiny checkpoint, rows for it, and a folder that is removed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PluginHost } from '../../../plugins/host/host.ts';
import type {
  BaseModel,
  FullTrainingConfig,
  LoraTrainingConfig,
} from '../../../plugins/sdk/contracts/trainer.ts';
import { PROVIDER_ID } from '../../../plugins/nf4-lora/contract.ts';
import { EngineLanguageModel } from '../../../plugins/nf4-lora/worker/engine-language-model.ts';
import { EngineProcess, type EngineProcessOptions } from '../../../plugins/nf4-lora/worker/engine-process.ts';
import { writeRows } from '../../../plugins/sdk/process/rows.ts';
import { startInProc } from '../../../runtime/bootstrap/process-identity.mjs';

/** Two layers, 384 tokens, random weights: answers mean nothing, but every operation is the real one. */
export const TINY_MODEL = fileURLToPath(new URL('../../fixtures/tiny-llama', import.meta.url));

// Tests name it, and what they make, by their paths.
process.env['ESCADA_MODEL_ROOTS'] ??= [dirname(TINY_MODEL), tmpdir()].join(delimiter);

export const LOAD = { path: TINY_MODEL, weightFormat: 'nf4', blockSize: 64, doubleQuant: true } as const;

/** A model of the plugin, with all it can do. */
export function openModel(
  { registry }: Pick<PluginHost, 'registry'>,
  id: string = TINY_MODEL,
  options: Parameters<typeof registry.languageModel>[0]['options'] = {},
): EngineLanguageModel {
  const model = registry.languageModel({ provider: PROVIDER_ID, id, options });
  if (model instanceof EngineLanguageModel) return model;
  throw new TypeError(`${PROVIDER_ID} opened another sort of model`);
}

/** The base of a training, named by its path. */
export function baseModel(path: string = TINY_MODEL, weightFormat: 'nf4' | 'f32' = 'nf4'): BaseModel {
  return { provider: PROVIDER_ID, id: path, options: { weightFormat }, path, digest: 'tiny', weightFormat };
}

const SHARED_CONFIG = {
  lrSchedulerType: 'linear',
  warmupSteps: 5,
  optim: 'adamw_torch',
  packing: false,
  weightDecay: 0,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  maxGradNorm: 1,
  perDeviceTrainBatchSize: 2,
  gradientAccumulationSteps: 1,
  numTrainEpochs: 1,
  maxSeqLengthTokens: 128,
  seed: 7,
  saveSteps: 10,
  fp16: false,
  bf16: false,
  nonFinite: 'stop',
  maxConsecutiveSkips: 10,
  sampleRows: 0,
  sampleMaxNewTokens: 32,
} as const;

/** Sixty steps of two rows, a checkpoint every ten: about a second on one core. */
export const TRAIN_CONFIG = {
  ...SHARED_CONFIG,
  r: 4,
  loraAlpha: 8,
  loraDropout: 0,
  targetModules: 'all-linear',
  rsLora: false,
  learningRate: 5e-3,
  maxSteps: 60,
} as const satisfies LoraTrainingConfig;

/** Twenty steps of full fine-tuning. */
export const FULL_CONFIG = {
  ...SHARED_CONFIG,
  method: 'full',
  learningRate: 1e-3,
  maxSteps: 20,
} as const satisfies FullTrainingConfig;

/** So many steps that a test always catches the training before its end. */
export const ENDLESS_CONFIG = { ...TRAIN_CONFIG, maxSteps: 1_000_000 } as const;

/** Rows with an answer, all different. */
export function trainRows(
  count: number,
): { id: string; messages: { role: 'user'; content: string }[]; answer: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `r${index}`,
    messages: [{ role: 'user', content: `Describe a kettle that holds ${index % 9} litres.` }],
    answer: `Boils ${index % 5} cups quickly.`,
  }));
}

/** Runs `work` in a fresh folder. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'escada-test-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs `work` with a started process and ends the process afterwards, whatever happens. */
export async function withEngine<T>(
  work: (engine: EngineProcess) => Promise<T>,
  options: EngineProcessOptions = {},
): Promise<T> {
  const engine = await EngineProcess.start(options);
  try {
    return await work(engine);
  } finally {
    await engine.kill();
  }
}

/** Writes training rows into a folder and gives their path. */
export async function writeTrainRows(
  folder: string,
  rows: number | ReturnType<typeof trainRows> = 40,
): Promise<string> {
  const path = join(folder, 'rows.jsonl');
  await writeRows(path, typeof rows === 'number' ? trainRows(rows) : rows);
  return path;
}

/** True while a process of that id runs; one that has ended and waits for its new parent does not count. */
export function exists(pid: number): boolean {
  if (process.platform === 'linux') return startInProc(pid) !== null;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until `done` is true; fails after ten seconds. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!done()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

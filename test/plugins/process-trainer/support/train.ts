/** What the tests of process trainers share: a trainer of theirs, and a training through the contract. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProcessTrainer } from '../../../../plugins/process-trainer/worker/process-trainer.ts';
import { trainerOptionsSchema, type TrainerOptions } from '../../../../plugins/process-trainer/index.ts';
import type {
  LoraTrainingConfig,
  TrainingProgress,
  TrainRequest,
} from '../../../../plugins/sdk/contracts/trainer.ts';
import { baseModel, TRAIN_CONFIG, trainRows } from '../../nf4-lora/support.ts';

const SCRIPT = fileURLToPath(new URL('./trainer.ts', import.meta.url));

/** The command of the small trainer, with these faults. */
export const commandWith = (...faults: readonly string[]): string[] => [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  SCRIPT,
  ...faults,
];

export function trainerWith(faults: readonly string[] = [], options: Partial<TrainerOptions> = {}) {
  return new ProcessTrainer(
    trainerOptionsSchema.parse({ id: 'small', command: commandWith(...faults), ...options }),
  );
}

export const MODEL = baseModel();

/** Thirty steps, a checkpoint every five. */
export const CONFIG: LoraTrainingConfig = { ...TRAIN_CONFIG, maxSteps: 30, saveSteps: 5 };

export const newOutDir = async (): Promise<string> =>
  join(await mkdtemp(join(tmpdir(), 'escada-trainer-')), 'out');

/** Trains with the small trainer. */
export async function train(
  trainer: ProcessTrainer,
  request: Partial<TrainRequest> & { readonly outDir: string },
) {
  const progress: TrainingProgress[] = [];
  const result = await trainer.doTrain({
    model: MODEL,
    rows: trainRows(7),
    config: CONFIG,
    signal: new AbortController().signal,
    onProgress: (one) => progress.push(one),
    ...request,
  });
  return { result, progress };
}

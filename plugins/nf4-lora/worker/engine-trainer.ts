import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EscadaFailure } from '../../api/failure.ts';
import type { TrainerV1, TrainRequest, TrainResult } from '../../api/trainer.ts';
import { loraConfigSchema, type LoraConfig } from '../../../schemas/train/lora-config.ts';
import { TRAINER_ID } from '../contract.ts';
import { modelSource, type EngineServices } from './engine-language-model.ts';
import { withScratch, writeRows } from '../../../activities/shared/process/rows.ts';
import { readTrainingLog } from './training-log.ts';

/** Trains LoRA adapters on the engine. Resumes from the checkpoints in `outDir`. */
export class EngineTrainer implements TrainerV1 {
  readonly specificationVersion = 'v1';
  readonly id = TRAINER_ID;
  readonly #services: EngineServices;

  constructor(services: EngineServices) {
    this.#services = services;
  }

  async doTrain(request: TrainRequest): Promise<TrainResult> {
    const { rows, outDir, signal, onProgress: onEvent } = request;
    const source = await modelSource(request.model, this.#services);
    const config = checkedConfig(request.config);
    await mkdir(outDir, { recursive: true });
    return withScratch(async (folder) => {
      const rowsPath = join(folder, 'rows.jsonl');
      await writeRows(rowsPath, rows);
      const { stallMs } = this.#services;
      const result = await this.#services.pool.use(source, signal, (engine) =>
        engine.process.request('train', { rowsPath, outDir, config }, { signal, stallMs, onEvent }),
      );
      return { ...result, losses: await readTrainingLog(outDir) };
    });
  }
}

function checkedConfig(config: TrainRequest['config']): LoraConfig {
  const parsed = loraConfigSchema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .map((issue) => `config.${issue.path.join('.')}: ${issue.message}`)
    .join('; ');
  throw new EscadaFailure({ code: 'ENGINE_REQUEST_INVALID', message: issues, fields: { issues } });
}

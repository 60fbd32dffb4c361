import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  TrainedModel,
  TrainerDescription,
  TrainerV1,
  TrainRequest,
  TrainResult,
} from '../../api/trainer.ts';
import { checkedLoraConfig } from '../../../activities/shared/checked-lora-config.ts';
import { TRAINER_ID } from '../contract.ts';
import { EngineLanguageModel, type EngineServices } from './engine-language-model.ts';
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

  async doDescribe(model: TrainedModel, signal: AbortSignal): Promise<TrainerDescription> {
    const described = await new EngineLanguageModel(model, this.#services).doDescribe(signal);
    return { build: `${described.engineBuild} ${described.isaClass}`, resumes: 'exact' };
  }

  async doTrain(request: TrainRequest): Promise<TrainResult> {
    const { rows, outDir, signal, onProgress: onEvent } = request;
    const { path, weightFormat } = request.model;
    const config = checkedLoraConfig(request.config);
    await mkdir(outDir, { recursive: true });
    return withScratch(async (folder) => {
      const rowsPath = join(folder, 'rows.jsonl');
      await writeRows(rowsPath, rows);
      const { stallMs } = this.#services;
      const result = await this.#services.pool.use({ path, weightFormat }, signal, (engine) =>
        engine.process.request('train', { rowsPath, outDir, config }, { signal, stallMs, onEvent }),
      );
      const by = await this.doDescribe(request.model, signal);
      return { ...result, by, losses: await readTrainingLog(outDir) };
    });
  }
}

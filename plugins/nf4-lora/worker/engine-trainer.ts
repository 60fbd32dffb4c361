import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  FullTrainingConfig,
  FullTrainResult,
  LoraTrainingConfig,
  BaseModel,
  TrainerDescription,
  TrainerV1,
  TrainRequest,
  TrainingSample,
  TrainResult,
  TrainSummary,
} from '../../sdk/contracts/trainer.ts';
import { checkedTrainConfig } from '../../sdk/check-train-config.ts';
import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';
import type { ModelRef } from '../../../schemas/common/model-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { PROVIDER_ID, TRAINER_ID } from '../contract.ts';
import { modelOptionsSchema, weightFormatSchema } from '../model-options.ts';
import { protocolFailure } from './engine-errors.ts';
import type { EngineFacts, EngineServices } from './engine-services.ts';
import { engineIdentity, inspectModel } from './inspect-model.ts';
import type { ModelSource } from './model-key.ts';
import { baseModelName } from '../../sdk/model-folder/base-model-name.ts';
import { withScratch, writeRows } from '../../sdk/process/rows.ts';
import { toWireConfig, type EventOf, type ResultOf, type Sample } from './protocol.ts';
import { readTrainingLog } from './training-log.ts';

/** LoRA and full fine-tuning on the engine. Resumes from the checkpoints in `outDir`. */
export class EngineTrainer implements TrainerV1 {
  readonly specificationVersion = 'v1';
  readonly id = TRAINER_ID;
  readonly #services: EngineServices;

  constructor(services: EngineServices) {
    this.#services = services;
  }

  async doProbe(signal: AbortSignal): Promise<string> {
    const { engineBuild, isaClass, threads } = await this.#services.pool.probe(signal);
    return `${engineBuild}, ${isaClass}, ${threads} threads`;
  }

  async doDescribe(model: BaseModel, signal: AbortSignal): Promise<TrainerDescription> {
    return trainedBy(await inspectModel(sourceOf(model), this.#services, signal));
  }

  findIssues(
    model: ModelRef,
    { method }: { readonly method?: 'lora' | 'full' | undefined },
  ): readonly { readonly path: string; readonly message: string }[] {
    if (method !== 'full' || model.provider !== PROVIDER_ID) return [];
    const { weightFormat } = modelOptionsSchema.parse(model.options);
    if (weightFormat === 'f32') return [];
    const message = `config.method "full" trains 32-bit weights, these are ${weightFormat}; use "f32", or config.method "lora"`;
    return [{ path: 'model.options.weightFormat', message }];
  }

  async doTrain(request: TrainRequest): Promise<TrainResult> {
    const { adapterPath, adapterSha256, ...rest } = await this.#train(request);
    if (adapterPath === undefined || adapterSha256 === undefined)
      throw protocolFailure('train', 'no adapter');
    return { adapterPath, adapterSha256, ...rest };
  }

  async doTrainFull(request: TrainRequest<FullTrainingConfig>): Promise<FullTrainResult> {
    const { modelPath, modelSha256, ...rest } = await this.#train(request);
    if (modelPath === undefined || modelSha256 === undefined) throw protocolFailure('train', 'no model');
    return { modelPath, modelSha256, ...rest };
  }

  async #train(
    request: TrainRequest<LoraTrainingConfig | FullTrainingConfig>,
  ): Promise<TrainSummary & ResultOf<'train'>> {
    const { rows, sampleRows, outDir, signal, onProgress } = request;
    const source = sourceOf(request.model);
    const config = toWireConfig(checkedTrainConfig(request.config));
    await mkdir(outDir, { recursive: true });
    const baseModel = await baseModelName(request.model);
    return withScratch(async (folder) => {
      const rowsPath = join(folder, 'rows.jsonl');
      await writeRows(rowsPath, rows);
      const samplesPath = sampleRows === undefined ? undefined : join(folder, 'samples.jsonl');
      if (samplesPath !== undefined) await writeRows(samplesPath, sampleRows ?? []);
      const samplesOf = sampleReader(sampleRows ?? rows);
      const onEvent = ({ samples, ...event }: EventOf<'train'>): void =>
        onProgress({ ...event, samples: samplesOf({ step: event.step, samples }) });
      const { stallMs } = this.#services;
      const result = await this.#services.pool.use(source, signal, (engine) =>
        engine.process.request(
          'train',
          { rowsPath, samplesPath, outDir, baseModel, config },
          { signal, stallMs, onEvent },
        ),
      );
      const model = await inspectModel(source, this.#services, signal);
      const by = trainedBy(model);
      const log = await readTrainingLog(outDir);
      const warnings = [
        ...precisionWarnings(config, result.arithmetic),
        ...templateWarnings(model),
        ...log.flatMap((row) => row.warnings ?? []),
      ];
      const samples = log.flatMap(samplesOf);
      const losses = log.map(({ warnings: _, samples: __, ...row }) => row);
      return { ...result, by, losses, warnings, samples };
    });
  }
}

/** Reads the engine's replies, with what their rows ask and the references. */
function sampleReader(
  rows: TrainRequest['rows'],
): (row: { step: number; samples?: readonly Sample[] | undefined }) => TrainingSample[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ({ step, samples = [] }) =>
    samples.map(({ epoch, id, text, newTokens, goldTokens, finish }) => {
      const row = byId.get(id);
      const [input, reference] = [row?.messages.at(-1)?.content ?? '', row?.answer ?? ''];
      const lengths = { replyTokens: newTokens, referenceTokens: goldTokens };
      return { epoch, step, id, input, reply: text, reference, ...lengths, finish };
    });
}

function trainedBy(facts: EngineFacts): TrainerDescription {
  return { build: engineIdentity(facts), resume: 'bitwise' };
}

/**
 * The base as the engine loads it: in the format in which its provider holds it, so that training and answering agree.
 * Throws `TRAINER_UNSUPPORTED` for a format that the engine does not have.
 */
function sourceOf({ provider, options, path, weightFormat }: BaseModel): ModelSource {
  if (provider === PROVIDER_ID) return { path, ...modelOptionsSchema.parse(options) };
  const held = weightFormatSchema.safeParse(weightFormat);
  if (held.success) return { path, weightFormat: held.data };
  throw new EscadaFailure({
    code: 'TRAINER_UNSUPPORTED',
    message: `trainer "${TRAINER_ID}": the weights of provider "${provider}" are held as ${weightFormat ?? 'it does not say'}; it takes ${weightFormatSchema.options.join(', ')}.`,
    fields: { trainer: TRAINER_ID, provider },
  });
}

/** Says what replaces a missing chat template, or its missing system role: other programs must ask in the same way. */
function templateWarnings({ chatTemplate, systemTurns }: EngineFacts): TrainingWarning[] {
  const plain =
    'the model brings no chat template: system text, instruction and input are put in lines before the answer';
  const merged =
    "the model's chat template has no system role: system text is put in front of the next user turn";
  const messages = [
    ...(chatTemplate === 'default' ? [plain] : []),
    ...(systemTurns === 'merged' ? [merged] : []),
  ];
  return messages.map((message) => ({ kind: 'chat-template', step: 0, message, rows: [] }));
}

/** Says that 16-bit arithmetic, though allowed, is not what was done: this machine or this way of training has none. */
function precisionWarnings(
  allowed: { fp16: boolean; bf16: boolean },
  arithmetic: ResultOf<'train'>['arithmetic'],
): TrainingWarning[] {
  const names = (['fp16', 'bf16'] as const).filter((name) => allowed[name]);
  if (names.length === 0 || arithmetic === '16-bit') return [];
  const message = `config.${names.join(', config.')}: computed in f32, which is at least as precise`;
  return [{ kind: 'precision', step: 0, message, rows: [] }];
}

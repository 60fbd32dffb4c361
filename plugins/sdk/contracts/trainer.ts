import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';
import type { ModelRef } from '../../../schemas/common/model-ref.ts';
import type { Message } from './language-model.ts';

/** Hyper-parameters that every training has, by their usual names. */
export interface TrainingConfig {
  readonly learningRate: number;
  readonly lrSchedulerType: 'constant' | 'linear' | 'cosine';
  readonly warmupSteps: number;
  /** transformers' names; paged: moments in host memory. */
  readonly optim: 'adamw_torch' | 'adamw_8bit' | 'paged_adamw_32bit' | 'paged_adamw_8bit';
  readonly weightDecay: number;
  readonly adamBeta1: number;
  readonly adamBeta2: number;
  readonly adamEpsilon: number;
  readonly maxGradNorm: number;
  readonly perDeviceTrainBatchSize: number;
  readonly gradientAccumulationSteps: number;
  readonly numTrainEpochs: number;
  /** −1: follow `numTrainEpochs`; otherwise it wins. */
  readonly maxSteps: number;
  readonly maxSeqLengthTokens: number;
  /** Sequence packing: short examples share one sequence; attention is masked between them. */
  readonly packing: boolean;
  /** Activation checkpointing; changes no result, so a trainer may ignore it. */
  readonly gradientCheckpointing?: 'none' | 'mlp' | 'full' | 'auto' | undefined;
  readonly seed: number;
  /** Steps between checkpoints. */
  readonly saveSteps: number;
  /** Steps between the reports of progress, which whoever asked for the training may thin out. Default 1. */
  readonly loggingSteps?: number | undefined;
  /** Arithmetic in 16 bits is allowed; a trainer may compute in more, and warns of it. Default false. */
  readonly fp16?: boolean | undefined;
  readonly bf16?: boolean | undefined;
  /** What becomes of a step that is not finite. Default `stop`. */
  readonly nonFinite?: 'stop' | 'skip' | undefined;
  /** Steps in a row that `skip` may leave out. Default 10. */
  readonly maxConsecutiveSkips?: number | undefined;
  /** Rows whose prompts are answered after every epoch, and the longest reply. Default 0: none. */
  readonly sampleRows?: number | undefined;
  readonly sampleMaxNewTokens?: number | undefined;
}

/** An adapter on frozen weights. */
export interface LoraTrainingConfig extends TrainingConfig {
  readonly method?: 'lora' | undefined;
  readonly r: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  readonly targetModules: 'all-linear' | readonly string[];
  readonly rsLora: boolean;
}

/** Full fine-tuning. */
export interface FullTrainingConfig extends TrainingConfig {
  readonly method: 'full';
}

/** The base model of a training, as its provider found it. */
export interface BaseModel extends ModelRef {
  /** File or folder of the weights on this machine. */
  readonly path: string;
  /** The provider's digest of the weights. */
  readonly digest: string;
  /** Format in which the provider holds them, where it says so. */
  readonly weightFormat?: string | undefined;
}

/** A greedy reply after an epoch, with what was trained until then. */
export interface TrainingSample {
  /** Epochs begun so far. */
  readonly epoch: number;
  readonly step: number;
  /** The row. */
  readonly id: string;
  /** Its last turn. */
  readonly input: string;
  readonly reply: string;
  /** The row's reference answer. */
  readonly reference: string;
  /** Tokens of reply and reference, the end token included. */
  readonly replyTokens: number;
  readonly referenceTokens: number;
  /** `length`: it was cut off. */
  readonly finish: 'stop' | 'length';
}

export interface TrainingProgress {
  readonly step: number;
  readonly totalSteps: number;
  /** Null where it is not finite. */
  readonly lossNats: number | null;
  readonly learningRate: number;
  /** Before clipping; null where it is not finite. Not every trainer reports it. */
  readonly gradientNorm?: number | null;
  readonly tokensPerSecond: number;
  readonly etaSeconds: number;
  /** Resident memory of the training process. Not every trainer reports it. */
  readonly rssBytes?: number;
  /** Most resident memory that it planned to take, before the first step. Not every trainer reports it. */
  readonly plannedPeakBytes?: number;
  /** Newest complete checkpoint, 0 when none. */
  readonly checkpointStep: number;
  /** Steps so far whose update was left out. */
  readonly skippedSteps?: number;
  /** New ones. */
  readonly warnings?: readonly TrainingWarning[];
  /** Replies after the epoch that this step ends. */
  readonly samples?: readonly TrainingSample[];
}

export interface TrainRequest<Config extends TrainingConfig = LoraTrainingConfig> {
  readonly model: BaseModel;
  readonly rows: readonly {
    readonly id: string;
    readonly messages: readonly Message[];
    readonly answer: string;
  }[];
  /** Rows for the replies after every epoch; some of `rows` without them. */
  readonly sampleRows?: TrainRequest['rows'];
  readonly config: Config;
  /** Checkpoints and what was trained go here; complete checkpoints found here are resumed from. */
  readonly outDir: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TrainingProgress) => void;
}

export interface TrainerDescription {
  /** What the result depends on beside the request: name, version, build. Part of every cache key. */
  readonly build: string;
  /**
   * Result of a training that is interrupted and resumed. `bitwise`: the bytes of an uninterrupted training; `approximate`:
   * an adapter of the same quality; `none`: the training starts over.
   */
  readonly resume: 'bitwise' | 'approximate' | 'none';
}

/** What is known of a training that ended. */
export interface TrainSummary {
  /** What trained. */
  readonly by: TrainerDescription;
  readonly steps: number;
  readonly lossFirstNats: number;
  readonly lossLastNats: number;
  /** One entry for each step that was reported, from the first one also after a resume. */
  readonly losses: readonly {
    readonly step: number;
    /** Null where it is not finite. */
    readonly lossNats: number | null;
    readonly learningRate: number;
    readonly skipped?: boolean | undefined;
  }[];
  /** Steps whose update was left out. */
  readonly skippedSteps?: number;
  /** Arithmetic of the products with frozen weights, in the trainer's own words: `f32`, `16-bit`. */
  readonly arithmetic?: string;
  /** All of the training, also those from before a resume. */
  readonly warnings?: readonly TrainingWarning[];
  /** Replies after every epoch, in the order of steps. */
  readonly samples?: readonly TrainingSample[];
  readonly labelledTokens: number;
  readonly seconds: number;
  readonly resumedFromStep: number;
}

export interface TrainResult extends TrainSummary {
  /** Folder in PEFT format. */
  readonly adapterPath: string;
  readonly adapterSha256: string;
}

export interface FullTrainResult extends TrainSummary {
  /** Folder as transformers reads it, weights in f32. */
  readonly modelPath: string;
  /** SHA-256 of `model.safetensors`. */
  readonly modelSha256: string;
}

/**
 * Trains adapters. A complete checkpoint in `outDir` is a folder `checkpoint-<step>` whose `manifest.json` was written
 * last; a trainer that resumes does so from the newest one, and never writes into one that is complete: its files may
 * be shared with other attempts.
 */
export interface TrainerV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  /**
   * Health probe: completes the handshake without a model and returns one line that identifies the trainer. Throws a coded
   * error if the handshake exceeds its time limit. Absent: there is nothing to probe.
   */
  doProbe?(signal: AbortSignal): Promise<string>;
  /**
   * What of a model and its settings this trainer refuses, by the fields of a spec: `model.options.weightFormat`. Asked when
   * a spec is compiled; nothing may be opened.
   */
  findIssues?(
    model: ModelRef,
    config: { readonly method?: 'lora' | 'full' | undefined },
  ): readonly { readonly path: string; readonly message: string }[];
  doDescribe(model: BaseModel, signal: AbortSignal): Promise<TrainerDescription>;
  doTrain(request: TrainRequest): Promise<TrainResult>;
  /** Full fine-tuning; absent where only adapters are trained. */
  doTrainFull?(request: TrainRequest<FullTrainingConfig>): Promise<FullTrainResult>;
}

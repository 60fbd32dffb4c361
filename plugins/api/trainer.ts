import type { Message, ModelChoice } from './language-model.ts';

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
  /** Rows that fit `maxSeqLengthTokens` together count as one row of a batch; they never see each other. */
  readonly packing: boolean;
  /** Memory against time; changes no result, so that a trainer may ignore it. */
  readonly gradientCheckpointing?: 'auto' | 'keep' | 'recompute-mlp' | 'checkpoint' | undefined;
  readonly seed: number;
  /** Steps between checkpoints. */
  readonly saveSteps: number;
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

/** All weights learn. */
export interface FullTrainingConfig extends TrainingConfig {
  readonly method: 'full';
}

/** The base of a training, as its provider found it. */
export interface TrainedModel extends ModelChoice {
  readonly provider: string;
  /** File or folder of the weights on this machine. */
  readonly path: string;
  /** The provider's digest of the weights. */
  readonly digest: string;
}

export interface TrainingProgress {
  readonly step: number;
  readonly totalSteps: number;
  readonly lossNats: number;
  readonly learningRate: number;
  /** Before clipping. Not every trainer tells. */
  readonly gradientNorm?: number;
  readonly tokensPerSecond: number;
  readonly etaSeconds: number;
  /** Resident memory of the training process. Not every trainer tells. */
  readonly rssBytes?: number;
  /** Newest complete checkpoint, 0 when none. */
  readonly checkpointStep: number;
}

export interface TrainRequest<Config extends TrainingConfig = LoraTrainingConfig> {
  readonly model: TrainedModel;
  readonly rows: readonly {
    readonly id: string;
    readonly messages: readonly Message[];
    readonly answer: string;
  }[];
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
   * What a training gives that was cut off and resumed: `exact`: the bytes of an undisturbed one; `close`: an adapter of
   * the same quality; `never`: it begins again.
   */
  readonly resumes: 'exact' | 'close' | 'never';
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
    readonly lossNats: number;
    readonly learningRate: number;
  }[];
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
  /** Of `model.safetensors`. */
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
  doDescribe(model: TrainedModel, signal: AbortSignal): Promise<TrainerDescription>;
  doTrain(request: TrainRequest): Promise<TrainResult>;
  /** Full fine-tuning; absent where only adapters are trained. */
  doTrainFull?(request: TrainRequest<FullTrainingConfig>): Promise<FullTrainResult>;
}

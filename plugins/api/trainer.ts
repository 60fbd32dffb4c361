import type { Message, ModelChoice } from './language-model.ts';

/** Hyper-parameters by their usual names. */
export interface LoraTrainingConfig {
  readonly r: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  readonly targetModules: 'all-linear' | readonly string[];
  readonly rsLora: boolean;
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
  readonly seed: number;
  /** Steps between checkpoints. */
  readonly saveSteps: number;
}

export interface TrainingProgress {
  readonly step: number;
  readonly totalSteps: number;
  readonly lossNats: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly tokensPerSecond: number;
  readonly etaSeconds: number;
  readonly rssBytes: number;
  /** Newest complete checkpoint, 0 when none. */
  readonly checkpointStep: number;
}

export interface TrainRequest {
  readonly model: ModelChoice;
  readonly rows: readonly {
    readonly id: string;
    readonly messages: readonly Message[];
    readonly answer: string;
  }[];
  readonly config: LoraTrainingConfig;
  /** Checkpoints and the finished adapter go here; complete checkpoints found here are resumed from. */
  readonly outDir: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TrainingProgress) => void;
}

export interface TrainResult {
  /** Folder in PEFT format. */
  readonly adapterPath: string;
  readonly adapterSha256: string;
  readonly steps: number;
  readonly lossFirstNats: number;
  readonly lossLastNats: number;
  /** One entry a step, from the first step also after a resume. */
  readonly losses: readonly {
    readonly step: number;
    readonly lossNats: number;
    readonly learningRate: number;
  }[];
  readonly labelledTokens: number;
  readonly seconds: number;
  readonly resumedFromStep: number;
}

/** Trains adapters. A trainer resumes from `outDir` and gives the same bytes as an undisturbed run. */
export interface TrainerV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  doTrain(request: TrainRequest): Promise<TrainResult>;
}

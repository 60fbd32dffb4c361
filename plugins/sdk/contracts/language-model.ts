import type { Quantization } from '../../../schemas/common/quantization.ts';
import type { ResourceClass } from '../../../schemas/plan/queues.ts';
import type { ExportFormat } from '../../../schemas/spec/export-format.ts';

/** What a chat turn is, for every provider. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Which model, in which weight format. */
export interface ModelChoice {
  readonly id: string;
  readonly weightFormat: 'nf4' | 'f32';
  /** Of `nf4`; blocks of 64 with double quantization when absent. */
  readonly quantization?: Quantization | undefined;
}

export interface ModelDescription {
  readonly modelDigest: string;
  readonly weightFormat: string;
  readonly contextTokens: number;
  /** Where the chat template is from: a file's name, `GGUF metadata`, or `default` for the plain one of base models. */
  readonly chatTemplate?: string;
  /** `merged`: the template has no system role, so that system texts stand in front of the next user turn. */
  readonly systemTurns?: 'own' | 'merged';
  readonly parameters: number;
  /** Build of the engine and its instruction-set class: part of every cache key. */
  readonly engineBuild: string;
  readonly isaClass: string;
}

/** A row may name an adapter of its own; without one it takes the call's. */
export interface PromptRow {
  readonly id: string;
  readonly messages: readonly Message[];
  /** A folder in PEFT format; rows with different adapters are computed in the same batches. */
  readonly adapterPath?: string;
}

export interface GenerateRequest {
  readonly rows: readonly PromptRow[];
  /** Adapter of the rows that name none: a folder in PEFT format. */
  readonly adapterPath?: string;
  readonly maxNewTokens: number;
  /** 0 = the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  /** So many likeliest tokens are drawn from. Default 0: all. */
  readonly topK?: number;
  /** Only tokens with at least this share of the likeliest one's probability. Default 0. */
  readonly minP?: number;
  /** Divides the positive and multiplies the negative logits of tokens that occurred. Default 1: off. */
  readonly repetitionPenalty?: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
}

/** Answers in the order of the request's rows. */
export interface GenerateResult {
  readonly answers: readonly {
    readonly id: string;
    readonly text: string;
    readonly promptTokens: number;
    readonly completionTokens: number;
    readonly finish: 'stop' | 'length';
  }[];
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly seconds: number;
  /** Largest resident memory of what generated. Absent where the provider cannot say. */
  readonly peakMemoryBytes?: number;
}

export interface ScoreRequest {
  readonly rows: readonly (PromptRow & { readonly continuations: readonly string[] })[];
  /** Adapter of the rows that name none: a folder in PEFT format. */
  readonly adapterPath?: string;
  readonly signal: AbortSignal;
}

export interface ScoreResult {
  /** One list a row, one entry a continuation. */
  readonly scores: readonly (readonly { readonly logProbNats: number; readonly tokens: number }[])[];
  readonly seconds: number;
}

export interface EmbedRequest {
  readonly rows: readonly {
    readonly id: string;
    readonly text: string;
    /** In place of the call's. */
    readonly adapterPath?: string;
  }[];
  /** Adapter of the rows that name none: a folder in PEFT format. */
  readonly adapterPath?: string;
  /** Divide every vector by its Euclidean length. */
  readonly normalize: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: GenerateProgress) => void;
}

/** One entry a row, in order. */
export interface EmbedResult {
  /** Mean of the final hidden states over the text's tokens, f32. */
  readonly embeddings: readonly Float32Array[];
  readonly tokens: readonly number[];
  readonly seconds: number;
}

export interface CountRequest {
  readonly rows: readonly {
    readonly id: string;
    readonly messages: readonly Message[];
    readonly answer?: string;
  }[];
  readonly signal: AbortSignal;
}

/** A model for other programs. */
export interface ExportRequest {
  /** Merged into the weights; without it the base is written alone. */
  readonly adapterPath?: string;
  readonly format: ExportFormat;
  /** Which weights the adapter is added to: those it was trained on, or those of the model's file. */
  readonly base: 'trained' | 'stored';
  /** A file for GGUF, a folder for safetensors. */
  readonly outPath: string;
  /** Folders only: larger weights are spread over several files and an index. */
  readonly maxShardBytes?: number | undefined;
  /** Prompts that the export must answer as base and adapter do. */
  readonly check?: {
    readonly rows: readonly { readonly id: string; readonly messages: readonly Message[] }[];
    readonly maxNewTokens: number;
  };
  readonly signal: AbortSignal;
}

/** How far an export is from base and adapter. */
export interface ExportDrift {
  readonly rows: number;
  /** Rows with the same greedy answer, token for token. */
  readonly equalAnswers: number;
  /** Mean |ln p - ln p'| per token of the answers of base and adapter; null where one side's are not finite. */
  readonly logProbDifferenceNats: number | null;
}

export interface ExportResult {
  /** Of the file that holds the weights; of several the SHA-256 of the lines `<sha256>  <name>` of all, in order. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Layers that the adapter changed. */
  readonly merged: number;
  readonly seconds: number;
  readonly drift?: ExportDrift | undefined;
}

/** A model that can be called. Methods only the host calls start with `do`. */
export interface LanguageModelV1 {
  readonly specificationVersion: 'v1';
  readonly provider: string;
  readonly modelId: string;
  readonly capabilities: {
    readonly generate: boolean;
    readonly score: boolean;
    readonly count: boolean;
    readonly adapters: boolean;
    /** `doEmbed` is there. */
    readonly embed: boolean;
  };
  doDescribe(signal: AbortSignal): Promise<ModelDescription>;
  doGenerate(request: GenerateRequest): Promise<GenerateResult>;
  doScore(request: ScoreRequest): Promise<ScoreResult>;
  doCount(
    request: CountRequest,
  ): Promise<readonly { readonly promptTokens: number; readonly answerTokens: number }[]>;
  /** File or folder of the weights on this machine, for trainers. Absent where they are not the caller's to have. */
  doLocate?(): Promise<string>;
  /** Present where `capabilities.embed` says so. Throws the model's coded errors. */
  doEmbed?(request: EmbedRequest): Promise<EmbedResult>;
  /** Absent where the weights are not the caller's to have. */
  doExport?(request: ExportRequest): Promise<ExportResult>;
}

/** Opens models by id. Throws `MODEL_NOT_FOUND` with what was tried. */
export interface LanguageModelProviderV1 {
  readonly id: string;
  /** What a call occupies: `gpu`, the device of this machine; `cpu`, its cores; `io`, somebody else's machine. */
  readonly resource: ResourceClass;
  /** Calls cost money: a step that fails is not simply run again. */
  readonly billable: boolean;
  /** Cautious speeds on a small machine, for estimates before anything was measured. */
  readonly assumedTokensPerSecond: {
    readonly prompt: number;
    readonly generate: number;
    readonly train: number;
  };
  open(choice: ModelChoice): LanguageModelV1;
}

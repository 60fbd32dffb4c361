import type { JsonObject } from '../../../schemas/common/json.ts';
import type { ResourceClass } from '../../../schemas/plan/queues.ts';
import type { ExportFormat } from '../../../schemas/spec/export-format.ts';
import type { ValueSchema } from './value-schema.ts';

/** One chat turn, for every provider. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** What a provider knows of a model. Only the identity is asked of everyone. */
export interface ModelDescription {
  /** Identity of everything answers depend on (weights, format, build of the engine): part of every cache key. */
  readonly cacheKey: string;
  /** Longest prompt and answer together. */
  readonly contextTokens?: number | undefined;
  readonly parameters?: number | undefined;
  /** Digest of the weights. */
  readonly weightsDigest?: string | undefined;
  /** Format in which the weights are held: `f32`, `nf4`, `nf4-128-double`. Trainers hold the base in the same one. */
  readonly weightFormat?: string | undefined;
  /** Facts for reports, by title. */
  readonly details?: Readonly<Record<string, string>> | undefined;
}

/** One prompt. Its results carry its id. */
export interface Prompt {
  /** Unique within the request. */
  readonly id: string;
  readonly messages: readonly Message[];
  /** Adapter of this prompt: a folder in PEFT format. Default: the request's. */
  readonly adapterPath?: string | undefined;
}

/** What every request has. Requests with different adapters may be computed in the same batches. */
interface ModelRequest<Row> {
  readonly rows: readonly Row[];
  readonly signal: AbortSignal;
  /** Adapter of the rows that name none: a folder in PEFT format. Only for models whose weights trainers can get. */
  readonly adapterPath?: string | undefined;
  readonly onProgress?: ((progress: ModelProgress) => void) | undefined;
  /** Settings that only this provider knows; it refuses those it does not. */
  readonly providerOptions?: JsonObject | undefined;
}

/** A request for answers. Everything but the prompts and the signal may be left out. */
export interface GenerateRequest extends ModelRequest<Prompt> {
  /** Longest answer. Default: the provider's. */
  readonly maxTokens?: number | undefined;
  /** Sampling temperature. Default 0: greedy decoding. */
  readonly temperature?: number | undefined;
  /** Nucleus sampling. Default 1: off. */
  readonly topP?: number | undefined;
  /** Top-k sampling; 0 disables it. Default 0. */
  readonly topK?: number | undefined;
  /** Min-p sampling: least probability of a token, as a share of the most probable token's. Default 0: off. */
  readonly minP?: number | undefined;
  /** Repetition penalty; 1 disables it. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Random seed of sampling. Default 0. */
  readonly seed?: number | undefined;
  /** Stop sequences. Default: none. */
  readonly stop?: readonly string[] | undefined;
}

export interface ModelProgress {
  /** Rows. */
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
}

/** Tokens, and money where they cost any. */
export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** What the provider charges, in US dollars. */
  readonly costUsd?: number | undefined;
}

/** The answer to one prompt. */
export interface ModelAnswer {
  /** The prompt's id. */
  readonly id: string;
  readonly text: string;
  /** `length`: it was cut off. */
  readonly finish: 'stop' | 'length';
  readonly usage: TokenUsage;
}

/** One answer for each prompt, in any order. */
export interface GenerateResult {
  readonly answers: readonly ModelAnswer[];
  /** Wall seconds of the request. */
  readonly seconds: number;
}

export type ScoreRequest = ModelRequest<Prompt & { readonly continuations: readonly string[] }>;

/** One entry for each prompt, in any order. */
export interface ScoreResult {
  readonly scores: readonly {
    /** The prompt's id. */
    readonly id: string;
    /** Log-likelihood of each continuation, in their order. */
    readonly continuations: readonly { readonly logProbNats: number; readonly tokens: number }[];
  }[];
  /** Wall seconds of the request. */
  readonly seconds: number;
  readonly costUsd?: number | undefined;
}

export interface EmbedRequest extends ModelRequest<{
  readonly id: string;
  readonly text: string;
  readonly adapterPath?: string | undefined;
}> {
  /** Divide every vector by its Euclidean length. Default false. */
  readonly normalize?: boolean | undefined;
}

/** One entry for each text, in any order. */
export interface EmbedResult {
  readonly embeddings: readonly {
    /** The text's id. */
    readonly id: string;
    readonly vector: Float32Array;
    readonly tokens: number;
  }[];
  /** Wall seconds of the request. */
  readonly seconds: number;
  readonly costUsd?: number | undefined;
}

export interface CountRequest {
  readonly rows: readonly {
    readonly id: string;
    readonly messages: readonly Message[];
    readonly answer?: string | undefined;
  }[];
  readonly signal: AbortSignal;
}

/** One entry for each row, in any order. */
export interface CountResult {
  readonly counts: readonly {
    readonly id: string;
    readonly promptTokens: number;
    readonly answerTokens: number;
  }[];
}

/** A model for other programs. */
export interface ExportRequest {
  /** Merged into the weights; without it the base is written alone. */
  readonly adapterPath?: string | undefined;
  readonly format: ExportFormat;
  /** Which weights the adapter is added to: those it was trained on, or those of the model's file. */
  readonly base: 'trained' | 'stored';
  /** A file for GGUF, a folder for safetensors. */
  readonly outPath: string;
  /** Folders only: larger weights are spread over several files and an index. */
  readonly maxShardBytes?: number | undefined;
  /** Prompts that the export must answer as base and adapter do. */
  readonly check?:
    | {
        readonly rows: readonly { readonly id: string; readonly messages: readonly Message[] }[];
        readonly maxTokens: number;
      }
    | undefined;
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
  /** SHA-256 of the weights file; for shards, of their `sha256sum` listing. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Layers that the adapter changed. */
  readonly merged: number;
  readonly seconds: number;
  readonly drift?: ExportDrift | undefined;
}

/**
 * A model that can be called. Only `doGenerate` is mandatory: a model that has one of the other methods has that
 * capability. Methods are called by the host's helpers only (`plugins/sdk/model-calls.ts`).
 */
export interface LanguageModelV1 {
  readonly specificationVersion: 'v1';
  readonly provider: string;
  readonly modelId: string;
  doGenerate(request: GenerateRequest): Promise<GenerateResult>;
  /** Log-likelihoods of given continuations. */
  doScore?(request: ScoreRequest): Promise<ScoreResult>;
  /** Lengths in the model's own tokens, chat template included. */
  doCountTokens?(request: CountRequest): Promise<CountResult>;
  /** Sentence vectors: the mean of the final hidden states over the text's tokens. */
  doEmbed?(request: EmbedRequest): Promise<EmbedResult>;
  doDescribe?(signal: AbortSignal): Promise<ModelDescription>;
  /** File or folder of the weights on this machine, for trainers. Such a model answers with adapters in PEFT format, too. */
  doLocateWeights?(): Promise<string>;
  doExport?(request: ExportRequest): Promise<ExportResult>;
}

/** Capabilities of a model, each by the optional method that brings it. */
export const MODEL_CAPABILITIES = {
  score: 'doScore',
  countTokens: 'doCountTokens',
  embed: 'doEmbed',
  describe: 'doDescribe',
  locateWeights: 'doLocateWeights',
  export: 'doExport',
} as const;

export type ModelCapability = keyof typeof MODEL_CAPABILITIES;

/** Which of them a model has. */
export type ModelCapabilities = Readonly<Record<ModelCapability, boolean>>;

/** Speeds that estimates assume before anything is measured. */
export interface TokensPerSecond {
  readonly prompt: number;
  readonly generate: number;
  readonly train: number;
}

/** Assumed of providers that declare no speeds: less than a 135-million-parameter model reaches on two cores. */
export const DEFAULT_TOKENS_PER_SECOND: TokensPerSecond = { prompt: 200, generate: 40, train: 80 };

/** Opens models by id. */
export interface LanguageModelProviderV1 {
  readonly id: string;
  /** Schema of a model's options; the plan holds them with its defaults. */
  readonly optionsSchema: ValueSchema;
  /** What a call occupies: `gpu`, the device of this machine; `cpu`, its cores; `io`, somebody else's machine. */
  readonly resource: ResourceClass;
  /** Calls cost money: a step that fails is not simply run again. */
  readonly billable: boolean;
  /** Rows of one call; longer requests are sent in pieces. Default: 16 where calls are billable, otherwise all rows. */
  readonly rowsPerCall?: number | undefined;
  /** Calls that a worker has in flight at once, over all its steps. Default: one for each step. */
  readonly maxConcurrentCalls?: number | undefined;
  /** Cautious speeds on a small machine. Default: `DEFAULT_TOKENS_PER_SECOND`. */
  readonly assumedTokensPerSecond?: TokensPerSecond | undefined;
  /**
   * Makes a model. The options fulfil the schema. Returns at once: whether the model exists shows when a method is called,
   * which then throws `MODEL_NOT_FOUND` with what was tried.
   */
  open(model: { readonly id: string; readonly options: JsonObject }): LanguageModelV1;
}

import { join } from 'node:path';
import type {
  CountRequest,
  EmbedRequest,
  EmbedResult,
  ExportRequest,
  ExportResult,
  GenerateRequest,
  GenerateResult,
  LanguageModelV1,
  ModelChoice,
  ModelDescription,
  ScoreRequest,
  ScoreResult,
} from '../../sdk/contracts/language-model.ts';
import { PROVIDER_ID } from '../contract.ts';
import { readEmbeddings } from './embeddings-file.ts';
import { protocolFailure } from './engine-errors.ts';
import { type EnginePool, type LoadedEngine } from './engine-pool.ts';
import { formatLabel, modelKey, USUAL, type ModelSource } from './model-key.ts';
import { ROWS } from './protocol.ts';
import { readRows, withScratch, writeRows } from '../../sdk/process/rows.ts';

/** What the plugin hands to the models and trainers it makes. */
export interface EngineServices {
  readonly pool: EnginePool;
  /** Path of a model by its id. Throws `MODEL_NOT_FOUND`. */
  readonly findModelPath: (id: string) => Promise<string>;
  /** Longest silence of a running operation. */
  readonly stallMs: number;
  /** Rows that are generated side by side. */
  readonly batchRows: number;
  /** Descriptions by model key: asking again must not wait for the device. */
  readonly descriptions: Map<string, ModelDescription>;
}

/** A model of this plugin's engine. */
export class EngineLanguageModel implements LanguageModelV1 {
  readonly specificationVersion = 'v1';
  readonly provider = PROVIDER_ID;
  readonly modelId: string;
  readonly capabilities = { generate: true, score: true, count: true, adapters: true, embed: true };
  readonly #choice: ModelChoice;
  readonly #services: EngineServices;

  constructor(choice: ModelChoice, services: EngineServices) {
    this.modelId = choice.id;
    this.#choice = choice;
    this.#services = services;
  }

  async doDescribe(signal: AbortSignal): Promise<ModelDescription> {
    const source = await modelSource(this.#choice, this.#services);
    const key = await modelKey(source);
    const known = this.#services.descriptions.get(key);
    if (known !== undefined) return known;
    const description = await this.#services.pool.use(source, signal, (engine) =>
      Promise.resolve(describe(engine, this.#choice)),
    );
    this.#services.descriptions.set(key, description);
    return description;
  }

  async doGenerate(request: GenerateRequest): Promise<GenerateResult> {
    const { rows, signal, onProgress, adapterPath, stop, ...how } = request;
    const { batchRows, stallMs } = this.#services;
    return this.#run(signal, rows, async (engine, requestsPath, outPath) => {
      const sampling = { ...samplingOf(how), batchRows, stop: [...stop] };
      const total = await engine.process.request(
        'generate',
        { requestsPath, outPath, adapterPath, ...sampling },
        { signal, stallMs, onEvent: onProgress },
      );
      const answers = await readRows(outPath, ROWS.generate.output);
      checkOrder('generate', rows, answers);
      const { promptTokens, newTokens: completionTokens, seconds } = total;
      return {
        answers: answers.map(({ newTokens: own, ...answer }) => ({ ...answer, completionTokens: own })),
        promptTokens,
        completionTokens,
        seconds,
      };
    });
  }

  async doScore(request: ScoreRequest): Promise<ScoreResult> {
    const { rows, signal, adapterPath } = request;
    return this.#run(signal, rows, async (engine, requestsPath, outPath) => {
      const params = { requestsPath, outPath, adapterPath };
      const options = { signal, stallMs: this.#services.stallMs };
      const { seconds } = await engine.process.request('score', params, options);
      const scored = await readRows(outPath, ROWS.score.output);
      checkOrder('score', rows, scored);
      return { scores: scored.map((row) => row.scores), seconds };
    });
  }

  async doEmbed(request: EmbedRequest): Promise<EmbedResult> {
    const { rows, adapterPath, normalize, signal, onProgress } = request;
    return this.#run(signal, rows, async (engine, requestsPath, outPath) => {
      const params = { requestsPath, outPath, adapterPath, normalize };
      const options = { signal, stallMs: this.#services.stallMs, onEvent: onProgress };
      const { seconds } = await engine.process.request('embed', params, options);
      return { ...(await readEmbeddings(outPath, rows.length)), seconds };
    });
  }

  async doCount(
    request: CountRequest,
  ): Promise<readonly { readonly promptTokens: number; readonly answerTokens: number }[]> {
    const { rows, signal } = request;
    return this.#run(signal, rows, async (engine, rowsPath, outPath) => {
      const { stallMs } = this.#services;
      await engine.process.request('count', { rowsPath, outPath }, { signal, stallMs });
      const counted = await readRows(outPath, ROWS.count.output);
      checkOrder('count', rows, counted);
      return counted.map(({ promptTokens, answerTokens }) => ({ promptTokens, answerTokens }));
    });
  }

  doLocate(): Promise<string> {
    return this.#services.findModelPath(this.#choice.id);
  }

  async doExport(request: ExportRequest): Promise<ExportResult> {
    const { adapterPath, format, base, outPath, maxShardBytes, check, signal } = request;
    const source = await modelSource(this.#choice, this.#services);
    const weightFormat = base === 'stored' ? 'f32' : source.weightFormat;
    const { batchRows, stallMs } = this.#services;
    return withScratch(async (folder) => {
      const requestsPath = join(folder, 'prompts.jsonl');
      if (check !== undefined) await writeRows(requestsPath, check.rows);
      const asked =
        check === undefined ? {} : { check: { requestsPath, maxNewTokens: check.maxNewTokens, batchRows } };
      const merging = { path: source.path, adapterPath, outPath, format, maxShardBytes };
      const params = { ...merging, weightFormat, ...(source.quantization ?? USUAL), ...asked };
      return this.#services.pool.use(source, signal, (engine) =>
        engine.process.request('export', params, { signal, stallMs }),
      );
    });
  }

  async #run<T>(
    signal: AbortSignal,
    rows: readonly unknown[],
    work: (engine: LoadedEngine, inPath: string, outPath: string) => Promise<T>,
  ): Promise<T> {
    const source = await modelSource(this.#choice, this.#services);
    return withScratch(async (folder) => {
      const inPath = join(folder, 'in.jsonl');
      await writeRows(inPath, rows);
      return this.#services.pool.use(source, signal, (engine) =>
        work(engine, inPath, join(folder, 'out.jsonl')),
      );
    });
  }
}

/** Where the chosen model is, and in which format it is to be held. */
async function modelSource(choice: ModelChoice, services: EngineServices): Promise<ModelSource> {
  const { id, weightFormat, quantization } = choice;
  return { path: await services.findModelPath(id), weightFormat, quantization };
}

/** The fields that the engine knows: a caller's object may hold more. */
function samplingOf({
  maxNewTokens,
  temperature,
  topP,
  topK,
  minP,
  repetitionPenalty,
  seed,
}: Omit<GenerateRequest, 'rows' | 'signal' | 'onProgress' | 'stop'>) {
  return { maxNewTokens, temperature, topP, topK, minP, repetitionPenalty, seed };
}

function describe({ hello, model }: LoadedEngine, choice: ModelChoice): ModelDescription {
  const { modelDigest, contextTokens, chatTemplate, systemTurns, parameters } = model;
  const { engineBuild, isaClass } = hello;
  const texts = { contextTokens, chatTemplate, systemTurns };
  return { modelDigest, weightFormat: formatLabel(choice), ...texts, parameters, engineBuild, isaClass };
}

/** Answers are matched by position; this makes sure that they may be. */
function checkOrder(
  method: string,
  asked: readonly { readonly id: string }[],
  answered: readonly { readonly id: string }[],
): void {
  const fits =
    asked.length === answered.length && asked.every((row, index) => row.id === answered[index]?.id);
  if (!fits) throw protocolFailure(method, 'the rows of the answer are not those of the request');
}

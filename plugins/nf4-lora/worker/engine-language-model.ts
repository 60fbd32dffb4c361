import { join } from 'node:path';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type {
  CountRequest,
  CountResult,
  EmbedRequest,
  EmbedResult,
  ExportRequest,
  ExportResult,
  GenerateRequest,
  GenerateResult,
  LanguageModelV1,
  ModelDescription,
  ScoreRequest,
  ScoreResult,
} from '../../sdk/contracts/language-model.ts';
import { readRows, withScratch, writeRows } from '../../sdk/process/rows.ts';
import { PROVIDER_ID } from '../contract.ts';
import { modelOptionsSchema, USUAL, type ModelOptions } from '../model-options.ts';
import { callOptions, generateParams, generateCallSchema, otherCallSchema } from './call-options.ts';
import { readEmbeddings } from './embeddings-file.ts';
import { protocolFailure } from './engine-errors.ts';
import type { LoadedEngine } from './engine-pool.ts';
import type { EngineFacts, EngineServices } from './engine-services.ts';
import { describeModel, inspectModel } from './inspect-model.ts';
import type { ModelSource } from './model-key.ts';
import { ROWS } from './protocol.ts';

/** A model of this plugin's engine. */
export class EngineLanguageModel implements LanguageModelV1 {
  readonly specificationVersion = 'v1';
  readonly provider = PROVIDER_ID;
  readonly modelId: string;
  readonly #options: ModelOptions;
  readonly #services: EngineServices;

  constructor(model: { readonly id: string; readonly options: JsonObject }, services: EngineServices) {
    this.modelId = model.id;
    this.#options = modelOptionsSchema.parse(model.options);
    this.#services = services;
  }

  async doDescribe(signal: AbortSignal): Promise<ModelDescription> {
    return describeModel(await this.inspect(signal), this.#options);
  }

  /** What the engine says of the model, in its own words. */
  async inspect(signal: AbortSignal): Promise<EngineFacts> {
    return await inspectModel(await this.#source(), this.#services, signal);
  }

  async doGenerate(request: GenerateRequest): Promise<GenerateResult> {
    const { rows, signal, adapterPath, onProgress } = request;
    const { batchRows: usual, stallMs } = this.#services;
    const { batchRows = usual } = callOptions(generateCallSchema, request);
    return this.#run(signal, rows, async (engine, requestsPath, outPath) => {
      const total = await engine.process.request(
        'generate',
        { requestsPath, outPath, adapterPath, ...generateParams(request), batchRows },
        { signal, stallMs, onEvent: onProgress },
      );
      const answered = await readRows(outPath, ROWS.generate.output);
      checkOrder('generate', rows, answered);
      const answers = answered.map(({ id, text, finish, promptTokens, newTokens }) => ({
        id,
        text,
        finish,
        usage: { promptTokens, completionTokens: newTokens },
      }));
      return { answers, seconds: total.seconds };
    });
  }

  async doScore(request: ScoreRequest): Promise<ScoreResult> {
    const { rows, signal, adapterPath, onProgress } = request;
    callOptions(otherCallSchema, request);
    return this.#run(signal, rows, async (engine, requestsPath, outPath) => {
      const params = { requestsPath, outPath, adapterPath };
      const options = { signal, stallMs: this.#services.stallMs, onEvent: onProgress };
      const { seconds } = await engine.process.request('score', params, options);
      const scored = await readRows(outPath, ROWS.score.output);
      checkOrder('score', rows, scored);
      return { scores: scored.map(({ id, scores }) => ({ id, continuations: scores })), seconds };
    });
  }

  async doEmbed(request: EmbedRequest): Promise<EmbedResult> {
    const { rows, adapterPath, normalize = false, signal, onProgress } = request;
    callOptions(otherCallSchema, request);
    return this.#run(signal, rows, async (engine, requestsPath, outPath) => {
      const params = { requestsPath, outPath, adapterPath, normalize };
      const options = { signal, stallMs: this.#services.stallMs, onEvent: onProgress };
      const { seconds } = await engine.process.request('embed', params, options);
      // The file has no ids: its rows are those of the request, in order, and as many.
      const { embeddings, tokens } = await readEmbeddings(outPath, rows.length);
      const vectors = embeddings.map((vector, place) => ({
        id: rows[place]?.id ?? '',
        vector,
        tokens: tokens[place] ?? 0,
      }));
      return { embeddings: vectors, seconds };
    });
  }

  async doCountTokens({ rows, signal }: CountRequest): Promise<CountResult> {
    return this.#run(signal, rows, async (engine, rowsPath, outPath) => {
      const { stallMs } = this.#services;
      await engine.process.request('count', { rowsPath, outPath }, { signal, stallMs });
      const counts = await readRows(outPath, ROWS.count.output);
      checkOrder('count', rows, counts);
      return { counts };
    });
  }

  doLocateWeights(): Promise<string> {
    return this.#services.findModelPath(this.modelId);
  }

  async doExport(request: ExportRequest): Promise<ExportResult> {
    const { adapterPath, format, base, outPath, maxShardBytes, check, signal } = request;
    const source = await this.#source();
    const weightFormat = base === 'stored' ? 'f32' : source.weightFormat;
    const { batchRows, stallMs } = this.#services;
    return withScratch(async (folder) => {
      const requestsPath = join(folder, 'prompts.jsonl');
      if (check !== undefined) await writeRows(requestsPath, check.rows);
      const asked =
        check === undefined ? {} : { check: { requestsPath, maxNewTokens: check.maxTokens, batchRows } };
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
    const source = await this.#source();
    return withScratch(async (folder) => {
      const inPath = join(folder, 'in.jsonl');
      await writeRows(inPath, rows);
      return this.#services.pool.use(source, signal, (engine) =>
        work(engine, inPath, join(folder, 'out.jsonl')),
      );
    });
  }

  /** Where the model is, and in which format it is to be held. */
  async #source(): Promise<ModelSource> {
    return { path: await this.#services.findModelPath(this.modelId), ...this.#options };
  }
}

/** The engine answers in the order of the request; anything else breaks its protocol. */
function checkOrder(
  method: string,
  asked: readonly { readonly id: string }[],
  answered: readonly { readonly id: string }[],
): void {
  const fits =
    asked.length === answered.length && asked.every((row, index) => row.id === answered[index]?.id);
  if (!fits) throw protocolFailure(method, 'the rows of the answer are not those of the request');
}

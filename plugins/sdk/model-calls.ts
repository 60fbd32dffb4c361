/**
 * The one way to call a language model: a missing capability, and results that are not those of the request, are one coded
 * failure each. Results come back in the order of the request's rows.
 */
import type { Usage } from '../../schemas/outcome/usage.ts';
import { EscadaFailure } from './contracts/failure.ts';
import {
  MODEL_CAPABILITIES,
  type CountRequest,
  type CountResult,
  type EmbedRequest,
  type EmbedResult,
  type GenerateRequest,
  type GenerateResult,
  type LanguageModelV1,
  type ModelCapabilities,
  type ModelCapability,
  type ScoreRequest,
  type ScoreResult,
  type TokenUsage,
} from './contracts/language-model.ts';

interface Identified {
  readonly id: string;
}

/** The capabilities of a model: those whose methods it has. */
export function capabilitiesOf(model: LanguageModelV1): ModelCapabilities {
  const entries = Object.entries(MODEL_CAPABILITIES).map(
    ([capability, method]) => [capability, typeof model[method] === 'function'] as const,
  );
  return Object.fromEntries(entries) as unknown as ModelCapabilities;
}

/** What is said of a model without a capability, at compile time as at run time. */
export function missingCapability(
  model: Pick<LanguageModelV1, 'provider' | 'modelId'>,
  capability: ModelCapability,
): string {
  return `The model "${model.modelId}" of provider "${model.provider}" lacks the capability "${capability}" (${MODEL_CAPABILITIES[capability]}). Use a model that has it, or leave out what needs it.`;
}

type MethodOf<C extends ModelCapability> = NonNullable<LanguageModelV1[(typeof MODEL_CAPABILITIES)[C]]>;

/** A model's optional method. Throws `MODEL_CAPABILITY_MISSING` where the model does not have it. */
export function methodOf<C extends ModelCapability>(model: LanguageModelV1, capability: C): MethodOf<C> {
  const method = model[MODEL_CAPABILITIES[capability]] as MethodOf<C> | undefined;
  if (typeof method === 'function') return method.bind(model) as MethodOf<C>;
  throw new EscadaFailure({
    code: 'MODEL_CAPABILITY_MISSING',
    message: missingCapability(model, capability),
    fields: { provider: model.provider, model: model.modelId, capability },
  });
}

/** Answers to prompts, in their order. */
export async function generate(model: LanguageModelV1, request: GenerateRequest): Promise<GenerateResult> {
  const result = await model.doGenerate(request);
  return { ...result, answers: matchById(model, 'doGenerate', request.rows, result.answers) };
}

/** Log-likelihoods of continuations, in the order of the prompts. Throws `MODEL_CAPABILITY_MISSING`. */
export async function score(model: LanguageModelV1, request: ScoreRequest): Promise<ScoreResult> {
  const result = await methodOf(model, 'score')(request);
  const scores = matchById(model, 'doScore', request.rows, result.scores);
  for (const [place, { id, continuations }] of request.rows.entries()) {
    const scored = scores[place]?.continuations.length ?? 0;
    if (scored !== continuations.length)
      throw mismatch(model, 'doScore', id, `${scored} of ${continuations.length} continuations were scored`);
  }
  return { ...result, scores };
}

/** Lengths in tokens, in the order of the rows. Throws `MODEL_CAPABILITY_MISSING`. */
export async function countTokens(
  model: LanguageModelV1,
  request: CountRequest,
): Promise<CountResult['counts']> {
  const { counts } = await methodOf(model, 'countTokens')(request);
  return matchById(model, 'doCountTokens', request.rows, counts);
}

/** Vectors of texts, in their order. Throws `MODEL_CAPABILITY_MISSING`. */
export async function embed(model: LanguageModelV1, request: EmbedRequest): Promise<EmbedResult> {
  const result = await methodOf(model, 'embed')(request);
  return { ...result, embeddings: matchById(model, 'doEmbed', request.rows, result.embeddings) };
}

/** Results in the order of the rows. Throws `MODEL_ANSWERS_MISMATCHED` unless there is exactly one for each row. */
export function matchById<Result extends Identified>(
  model: Pick<LanguageModelV1, 'provider' | 'modelId'>,
  method: string,
  rows: readonly Identified[],
  results: readonly Result[],
): Result[] {
  const asked = new Set<string>();
  for (const { id } of rows) {
    if (asked.has(id)) throw mismatch(model, method, id, 'the request has this row twice');
    asked.add(id);
  }
  const byId = new Map<string, Result>();
  for (const result of results) {
    if (!asked.has(result.id)) throw mismatch(model, method, result.id, 'the request has no such row');
    if (byId.has(result.id)) throw mismatch(model, method, result.id, 'it was answered twice');
    byId.set(result.id, result);
  }
  return rows.map(({ id }) => {
    const found = byId.get(id);
    if (found === undefined) throw mismatch(model, method, id, 'it was not answered');
    return found;
  });
}

function mismatch(
  { provider, modelId }: Pick<LanguageModelV1, 'provider' | 'modelId'>,
  method: string,
  row: string,
  problem: string,
): EscadaFailure {
  return new EscadaFailure({
    code: 'MODEL_ANSWERS_MISMATCHED',
    message: `${method} of model "${modelId}" (provider "${provider}"): row "${row}": ${problem}.`,
    fields: { provider, model: modelId, method, row },
  });
}

/** Nothing used. */
export const NO_USAGE: Usage = {
  promptTokens: 0,
  completionTokens: 0,
  trainingTokens: 0,
  seconds: 0,
  peakMemoryBytes: null,
};

/** Usage of several calls together. `costUsd` is there once one of them cost money. */
export function sumUsage(all: readonly Usage[]): Usage {
  const sum = (pick: (one: Usage) => number): number => all.reduce((total, one) => total + pick(one), 0);
  const costs = all.flatMap(({ costUsd }) => costUsd ?? []);
  const peaks = all.flatMap(({ peakMemoryBytes }) => peakMemoryBytes ?? []);
  return {
    promptTokens: sum(({ promptTokens }) => promptTokens),
    completionTokens: sum(({ completionTokens }) => completionTokens),
    trainingTokens: sum(({ trainingTokens }) => trainingTokens),
    seconds: sum(({ seconds }) => seconds),
    peakMemoryBytes: peaks.length === 0 ? null : Math.max(...peaks),
    ...(costs.length === 0 ? {} : { costUsd: costs.reduce((total, cost) => total + cost, 0) }),
  };
}

/** What every result of a model says of itself. */
interface Measured {
  readonly answers?: readonly { readonly usage: TokenUsage }[];
  readonly seconds: number;
  readonly costUsd?: number | undefined;
  readonly peakMemoryBytes?: number | undefined;
}

/** Usage of one request: tokens and money of its answers, its wall seconds and memory. `more`: tokens that only the caller counts. */
export function usageOf(result: Measured, more: Partial<TokenUsage> = {}): Usage {
  const { answers = [], seconds, costUsd, peakMemoryBytes = null } = result;
  const whole = { ...NO_USAGE, ...more, seconds, peakMemoryBytes };
  const own = costUsd === undefined ? whole : { ...whole, costUsd };
  return sumUsage([own, ...answers.map(({ usage }) => ({ ...NO_USAGE, ...usage }))]);
}

import type { LanguageModelProviderV1, LanguageModelV1 } from '../plugins/sdk/contracts/language-model.ts';
import type { StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import type { ModelRef } from '../schemas/common/model-ref.ts';
import { callLimitsOf } from './call-limits.ts';
import { callInChunks, mergeResults, type CallResult, type RowsRequest } from './chunked-call.ts';
import { keptCall, type Payer } from './paid-calls.ts';

/** The methods that pass rows through a model, each with the list that its results hold. */
const LISTS: ReadonlyMap<string | symbol, string> = new Map([
  ['doGenerate', 'answers'],
  ['doScore', 'scores'],
  ['doEmbed', 'embeddings'],
]);

/** The provider of an id, if there is one. */
export type FindProvider = (id: string) => LanguageModelProviderV1 | undefined;

type Method = (request: RowsRequest) => Promise<CallResult>;

/**
 * Services whose models keep to what their providers declare: how many rows a call has, and how many calls are in flight.
 * The results of billable models are kept call by call, so that a step that is killed pays only for the calls in flight
 * once more. Models of other providers that declare nothing get every request as it is.
 */
export function withProviderCalls(services: StepServices, find: FindProvider, payer: Payer): StepServices {
  return {
    ...services,
    languageModel: (ref) => limited(services.languageModel(ref), ref, find(ref.provider), payer),
  };
}

function limited(
  model: LanguageModelV1,
  ref: ModelRef,
  provider: LanguageModelProviderV1 | undefined,
  payer: Payer,
): LanguageModelV1 {
  const limits = provider === undefined ? null : callLimitsOf(provider);
  if (provider === undefined || limits === null) return model;
  const inChunks = (method: string, list: string, send: Method): Method => {
    const once = async (request: RowsRequest): Promise<CallResult> =>
      provider.billable
        ? await keptCall({ method, model: ref, request }, payer, () => send(request))
        : await send(request);
    return async (request) => mergeResults(await callInChunks(request, limits, once), list);
  };
  return new Proxy(model, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      // A class may have private fields, which its proxy has not.
      const method = member.bind(target) as Method;
      const list = LISTS.get(name);
      return list === undefined ? method : inChunks(String(name), list, method);
    },
  });
}

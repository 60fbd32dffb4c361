import type { CountRequest, LanguageModelV1 } from '../contracts/language-model.ts';
import { EscadaFailure } from '../contracts/failure.ts';

/** What a counting model was asked, for tests to look at. */
export interface CountingModel extends LanguageModelV1 {
  readonly requests: readonly CountRequest[];
}

/**
 * A model that can only count, in words: a token is a run of characters that are not white space. For tests of code
 * that needs counts but no language. `count: false`: one without that capability.
 */
export function countingModel(
  modelId = 'words',
  options: { readonly count?: boolean; readonly contextTokens?: number } = {},
): CountingModel {
  const requests: CountRequest[] = [];
  const countWords = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;
  const doCountTokens = async (request: CountRequest) => {
    requests.push(request);
    request.signal.throwIfAborted();
    const counts = request.rows.map(({ id, messages, answer = '' }) => ({
      id,
      promptTokens: messages.reduce((sum, message) => sum + countWords(message.content), 0),
      answerTokens: countWords(answer),
    }));
    return { counts };
  };
  return {
    specificationVersion: 'v1',
    provider: 'testing',
    modelId,
    requests,
    doDescribe: async () => ({
      cacheKey: `counting:${modelId}`,
      weightsDigest: `counting:${modelId}`,
      contextTokens: options.contextTokens ?? 4096,
    }),
    doGenerate: async () => {
      throw new EscadaFailure({ code: 'MODEL_UNSUPPORTED', message: 'A counting model does not answer.' });
    },
    ...(options.count === false ? {} : { doCountTokens }),
  };
}

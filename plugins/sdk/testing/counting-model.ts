import type { CountRequest, LanguageModelV1 } from '../contracts/language-model.ts';
import { EscadaFailure } from '../contracts/failure.ts';

/** What a counting model was asked, for tests to look at. */
export interface CountingModel extends LanguageModelV1 {
  readonly requests: readonly CountRequest[];
}

/**
 * A model that can only count, in words: a token is a run of characters that are not white space. For tests of code
 * that needs counts but no language.
 */
export function countingModel(
  modelId = 'words',
  options: { readonly count?: boolean; readonly contextTokens?: number } = {},
): CountingModel {
  const requests: CountRequest[] = [];
  const words = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;
  const cannot = async (): Promise<never> => {
    throw new EscadaFailure({ code: 'MODEL_UNSUPPORTED', message: 'A counting model can only count.' });
  };
  return {
    specificationVersion: 'v1',
    provider: 'testing',
    modelId,
    capabilities: {
      generate: false,
      score: false,
      count: options.count ?? true,
      adapters: false,
      embed: false,
    },
    requests,
    doDescribe: async () => ({
      modelDigest: `counting:${modelId}`,
      weightFormat: 'none',
      contextTokens: options.contextTokens ?? 4096,
      parameters: 0,
      engineBuild: 'testing',
      isaClass: 'any',
    }),
    doGenerate: cannot,
    doScore: cannot,
    doCount: async (request) => {
      requests.push(request);
      request.signal.throwIfAborted();
      return request.rows.map((row) => ({
        promptTokens: row.messages.reduce((sum, message) => sum + words(message.content), 0),
        answerTokens: words(row.answer ?? ''),
      }));
    },
  };
}

import { performance } from 'node:perf_hooks';
import type {
  GenerateRequest,
  GenerateResult,
  LanguageModelProviderV1,
  LanguageModelV1,
} from 'escada/plugin-api';
import { failure, NAME } from './failures.ts';
import { countWords, nearestAnswer, questionOf } from './nearest.ts';
import type { Options } from './options.ts';

/** Part of every cache key: changes whenever equal prompts get other answers. */
const VERSION = '1';

/** A provider whose only kind of model copies the answer of the demonstration that is nearest to the question. */
export function nearestRowProvider(options: Options): LanguageModelProviderV1 {
  return {
    id: NAME,
    optionsSchema: { type: 'object', additionalProperties: false },
    resource: 'cpu',
    billable: false,
    assumedTokensPerSecond: { prompt: 100_000, generate: 100_000, train: 1 },
    open: ({ id }) => openModel(id, options),
  };
}

function openModel(modelId: string, options: Options): LanguageModelV1 {
  return {
    specificationVersion: 'v1',
    provider: NAME,
    modelId,
    doDescribe: async () => ({ cacheKey: `${NAME} ${VERSION} ${options.withoutDemonstration}` }),
    doCountTokens: async ({ rows }) => ({
      counts: rows.map(({ id, messages, answer }) => ({
        id,
        promptTokens: countWords(messages.map(({ content }) => content)),
        answerTokens: countWords([answer ?? '']),
      })),
    }),
    doGenerate: async (request) => generate(request, options),
  };
}

function generate({ rows, signal, onProgress }: GenerateRequest, options: Options): GenerateResult {
  const startedMs = performance.now();
  const answers = rows.map(({ id, messages }, index) => {
    signal.throwIfAborted();
    const text = nearestAnswer(messages) ?? withoutDemonstration(id, questionOf(messages), options);
    onProgress?.({ done: index + 1, total: rows.length, tokensPerSecond: 0 });
    const promptTokens = countWords(messages.map(({ content }) => content));
    return {
      id,
      text,
      finish: 'stop' as const,
      usage: { promptTokens, completionTokens: countWords([text]) },
    };
  });
  return { answers, seconds: (performance.now() - startedMs) / 1000 };
}

function withoutDemonstration(row: string, question: string, options: Options): string {
  if (options.withoutDemonstration === 'echo') return question;
  throw failure('NO_DEMONSTRATION', {
    message: `Row ${row}: the prompt shows no question with its answer.`,
    fields: { row },
  });
}

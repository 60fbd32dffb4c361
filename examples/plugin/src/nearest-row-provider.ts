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

/** Words that a prompt may have; the model reads all of it whatever its length. */
const CONTEXT_TOKENS = 1_000_000;

/** Part of every cache key: changes whenever equal prompts get other answers. */
const VERSION = '1';

/** A provider whose only kind of model copies the answer of the demonstration that is nearest to the question. */
export function nearestRowProvider(options: Options): LanguageModelProviderV1 {
  return {
    id: NAME,
    resource: 'cpu',
    billable: false,
    assumedTokensPerSecond: { prompt: 100_000, generate: 100_000, train: 1 },
    open: ({ id }) => openModel(id, options),
  };
}

const unsupported = async (): Promise<never> => {
  throw new Error('not supported');
};

function openModel(modelId: string, options: Options): LanguageModelV1 {
  return {
    specificationVersion: 'v1',
    provider: NAME,
    modelId,
    capabilities: { generate: true, score: false, count: true, adapters: false, embed: false },
    doDescribe: async () => ({
      modelDigest: `${NAME} ${VERSION} ${options.withoutDemonstration}`,
      weightFormat: 'none',
      contextTokens: CONTEXT_TOKENS,
      parameters: 0,
      engineBuild: VERSION,
      isaClass: 'any',
    }),
    doScore: unsupported,
    doCount: async ({ rows }) =>
      rows.map(({ messages, answer }) => ({
        promptTokens: countWords(messages.map(({ content }) => content)),
        answerTokens: countWords([answer ?? '']),
      })),
    doGenerate: async (request) => generate(request, options),
  };
}

function generate({ rows, signal, onProgress }: GenerateRequest, options: Options): GenerateResult {
  const startedMs = performance.now();
  const answers = rows.map(({ id, messages }, index) => {
    signal.throwIfAborted();
    const text = nearestAnswer(messages) ?? withoutDemonstration(id, questionOf(messages), options);
    onProgress({ done: index + 1, total: rows.length, tokensPerSecond: 0 });
    const promptTokens = countWords(messages.map(({ content }) => content));
    return { id, text, promptTokens, completionTokens: countWords([text]), finish: 'stop' as const };
  });
  const sum = (field: 'promptTokens' | 'completionTokens'): number =>
    answers.reduce((total, one) => total + one[field], 0);
  return {
    answers,
    promptTokens: sum('promptTokens'),
    completionTokens: sum('completionTokens'),
    seconds: (performance.now() - startedMs) / 1000,
  };
}

function withoutDemonstration(row: string, question: string, options: Options): string {
  if (options.withoutDemonstration === 'echo') return question;
  throw failure('NO_DEMONSTRATION', {
    message: `Row ${row}: the prompt shows no question with its answer.`,
    fields: { row },
  });
}

import type { GenerateRequest, LanguageModelV1, Message, ModelAnswer } from '../contracts/language-model.ts';
import { countingModel } from './counting-model.ts';

export interface AnsweringModel extends LanguageModelV1 {
  /** What it was asked to generate, for tests to look at. */
  readonly generated: readonly GenerateRequest[];
}

/** What a test decides about one row: the answer, or the answer and why it ended. */
export type Answer = string | { readonly text: string; readonly finish: 'stop' | 'length' };

/** A model whose answers a function gives; it counts in words. For tests of code that uses answers. */
export function answeringModel(
  answer: (row: { readonly id: string; readonly messages: readonly Message[] }) => Answer | Promise<Answer>,
  modelId = 'answers',
): AnsweringModel {
  const generated: GenerateRequest[] = [];
  return {
    ...countingModel(modelId),
    generated,
    doGenerate: async (request) => {
      generated.push(request);
      const answers: ModelAnswer[] = [];
      for (const row of request.rows) {
        request.signal.throwIfAborted();
        const given = await answer(row);
        const { text, finish } = typeof given === 'string' ? { text: given, finish: 'stop' as const } : given;
        const usage = { promptTokens: row.messages.length, completionTokens: text.split(/\s+/).length };
        answers.push({ id: row.id, text, finish, usage });
      }
      return { answers, seconds: 0 };
    },
  };
}

import type {
  GenerateRequest,
  GenerateResult,
  LanguageModelV1,
  Message,
} from '../contracts/language-model.ts';
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
  const counting = countingModel(modelId);
  return {
    ...counting,
    capabilities: { ...counting.capabilities, generate: true },
    generated,
    doGenerate: async (request) => {
      generated.push(request);
      const answers: GenerateResult['answers'][number][] = [];
      for (const row of request.rows) {
        request.signal.throwIfAborted();
        const given = await answer(row);
        const { text, finish } = typeof given === 'string' ? { text: given, finish: 'stop' as const } : given;
        const completionTokens = text.split(/\s+/).length;
        answers.push({ id: row.id, text, finish, completionTokens, promptTokens: row.messages.length });
      }
      const sum = (field: 'completionTokens' | 'promptTokens'): number =>
        answers.reduce((total, one) => total + one[field], 0);
      return {
        answers,
        promptTokens: sum('promptTokens'),
        completionTokens: sum('completionTokens'),
        seconds: 0,
      };
    },
  };
}

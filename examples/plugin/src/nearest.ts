import type { Message } from 'escada/plugin-api';

/** A question that a prompt shows with its answer. */
interface Demonstration {
  readonly question: string;
  readonly answer: string;
}

const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);

/** Words in common, by the number of words of the shorter text. */
function similarity(a: string, b: string): number {
  const [left, right] = [new Set(wordsOf(a)), new Set(wordsOf(b))];
  const common = [...left].filter((word) => right.has(word)).length;
  return common / Math.max(1, Math.min(left.size, right.size));
}

/** The questions with answers in a conversation, in order. */
function demonstrationsOf(messages: readonly Message[]): Demonstration[] {
  return messages.flatMap(({ role, content }, index) => {
    const before = messages[index - 1];
    return role === 'assistant' && before?.role === 'user'
      ? [{ question: before.content, answer: content }]
      : [];
  });
}

/** The last question of a conversation: the last line of its last user turn. */
export function questionOf(messages: readonly Message[]): string {
  return (
    messages
      .findLast(({ role }) => role === 'user')
      ?.content.split('\n')
      .at(-1) ?? ''
  );
}

/** The answer of the most similar demonstration; of equals the first one. Null when the prompt shows none. */
export function nearestAnswer(messages: readonly Message[]): string | null {
  const question = questionOf(messages);
  let best: { readonly answer: string; readonly score: number } | null = null;
  for (const { question: shown, answer } of demonstrationsOf(messages)) {
    const score = similarity(question, shown);
    if (best === null || score > best.score) best = { answer, score };
  }
  return best?.answer ?? null;
}

/** Tokens of this model are words. */
export const countWords = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + wordsOf(text).length, 0);

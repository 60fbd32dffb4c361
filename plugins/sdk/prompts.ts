import type { Message } from './contracts/language-model.ts';

/** What goes into one prompt. `shots` are demonstrations, in the order in which they are shown. */
export interface PromptParts {
  readonly system: string;
  readonly instruction: string;
  readonly shots: readonly { readonly input: string; readonly output: string }[];
  /** Passages that were looked up for this input, best first. */
  readonly passages?: readonly string[];
  readonly input: string;
}

/**
 * The one way a row becomes chat turns: counting, training, prompting and scoring all use it, so that every arm of a
 * comparison sees the same text. The system turn is always there, even when empty: some chat templates put a long
 * default one in front of a conversation that has none.
 */
export function buildMessages(parts: PromptParts): Message[] {
  const ask = (input: string): Message => ({ role: 'user', content: `${parts.instruction}\n${input}` });
  return [
    { role: 'system', content: parts.system },
    ...parts.shots.flatMap((shot): Message[] => [
      ask(shot.input),
      { role: 'assistant', content: shot.output },
    ]),
    { role: 'user', content: withPassages(parts.passages ?? [], ask(parts.input).content) },
  ];
}

/** Passages come before the question, the best one last, next to it: small models heed what is near. */
function withPassages(passages: readonly string[], question: string): string {
  return [...[...passages].reverse(), question].join('\n\n');
}

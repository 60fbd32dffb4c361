import type { ParaphraseInput, Rejection } from './options.ts';

type Rules = Pick<ParaphraseInput, 'maxSimilarity' | 'minSimilarity' | 'maxLengthRatio'>;

/** Why a paraphrase is not taken, and in words. */
export interface Verdict {
  readonly code: Rejection;
  readonly reason: string;
}

/** Lower case, single blanks: two texts that agree in it are the same to every step. */
export function plainText(text: string): string {
  return text.toLowerCase().replaceAll(/\s+/gu, ' ').trim();
}

/** An answer without the quotes that models like to put around it. */
export function unquoted(answer: string): string {
  // A null character would end the statement that stores the text.
  const text = answer.replaceAll('\0', '').trim();
  const inner = /^["“'‘](.*)["”'’]$/su.exec(text)?.[1];
  return inner === undefined || /["“”]/u.test(inner) ? text : inner.trim();
}

/** Jaccard similarity of the sets of character trigrams, 0 to 1. */
export function similarity(a: string, b: string): number {
  const [left, right] = [trigrams(a), trigrams(b)];
  let common = 0;
  for (const trigram of left) if (right.has(trigram)) common += 1;
  const union = left.size + right.size - common;
  return union === 0 ? 1 : common / union;
}

function trigrams(text: string): Set<string> {
  const plain = ` ${plainText(text)} `;
  return new Set(Array.from({ length: plain.length - 2 }, (_, at) => plain.slice(at, at + 3)));
}

/** The numbers of a text, as they are written, each once. */
export function numbersOf(text: string): string[] {
  return [...new Set(text.match(/\p{Nd}+(?:[.,:]\p{Nd}+)*/gu) ?? [])].sort();
}

/**
 * The proper names of a text, lower case: words with a capital that do not begin a sentence. In a title, where more than
 * half of the words have one, only words in capitals or with a digit count.
 */
export function namesOf(text: string): string[] {
  const words = [...text.matchAll(/[\p{L}\p{N}][\p{L}\p{M}\p{N}'’-]*/gu)];
  const capital = words.filter(([word]) => /^\p{Lu}/u.test(word));
  const isTitle = 2 * capital.length > words.length;
  const names = words.filter(({ 0: word, index }) => {
    // One letter alone is no name: English writes I with a capital.
    if ([...word].length < 2) return false;
    if (/^\p{Lu}[\p{Lu}\p{N}-]+$/u.test(word) || (/\p{N}/u.test(word) && /\p{L}/u.test(word))) return true;
    return !isTitle && /^\p{Lu}/u.test(word) && !/(^|[.!?:\n])["“'‘(]*\s*$/u.test(text.slice(0, index));
  });
  return [...new Set(names.map(([word]) => word.toLowerCase()))].sort();
}

/**
 * Judges a paraphrase of `parent`; null: it is accepted. It must not be empty (`empty`) or cut off (`cut`), must differ
 * from the original (`copy`), be of similar length (`length`), have exactly the numbers (`numbers`) and all names
 * (`names`) of the original, and be similar enough to it (`drift`).
 */
export function judge(
  parent: string,
  answer: { text: string; finish: string },
  rules: Rules,
): Verdict | null {
  const { text } = answer;
  if (plainText(text) === '') return { code: 'empty', reason: 'the paraphrase is empty' };
  if (answer.finish === 'length')
    return { code: 'cut', reason: 'the paraphrase was cut off at maxNewTokens' };
  const alike = similarity(parent, text);
  if (plainText(text) === plainText(parent) || alike >= rules.maxSimilarity) {
    return { code: 'copy', reason: `nearly the original (similarity ${alike.toFixed(2)})` };
  }
  const ratio = [...text].length / [...parent.trim()].length;
  if (ratio > rules.maxLengthRatio || ratio < 1 / rules.maxLengthRatio) {
    return { code: 'length', reason: `${ratio.toFixed(1)} times as long as the original` };
  }
  return judgeMeaning(parent, text, alike, rules);
}

function judgeMeaning(parent: string, text: string, alike: number, rules: Rules): Verdict | null {
  const [before, after] = [numbersOf(parent), numbersOf(text)];
  const lost = before.filter((one) => !after.includes(one));
  const added = after.filter((one) => !before.includes(one));
  if (lost.length > 0) return { code: 'numbers', reason: `it lost the number ${lost.join(', ')}` };
  if (added.length > 0) return { code: 'numbers', reason: `it added the number ${added.join(', ')}` };
  const plain = plainText(text);
  const missing = namesOf(parent).filter((name) => !plain.includes(name));
  if (missing.length > 0) return { code: 'names', reason: `it lost the name ${missing.join(', ')}` };
  if (alike >= rules.minSimilarity) return null;
  return { code: 'drift', reason: `it shares too little with the original (similarity ${alike.toFixed(2)})` };
}

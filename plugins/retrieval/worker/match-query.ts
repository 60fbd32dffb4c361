/** Most words of a query that are looked up: long texts gain nothing from more, and each costs time. */
export const MAX_QUERY_WORDS = 64;

/**
 * The words of any text, lower-cased, each once, in the order of their first use. The same classes of characters count
 * as parts of words as in the index.
 */
export function wordsOf(text: string): string[] {
  return [
    ...new Set(
      text
        .normalize('NFC')
        .toLowerCase()
        .match(/[\p{L}\p{M}\p{N}\p{Co}]+/gu) ?? [],
    ),
  ];
}

/**
 * A full-text query that finds documents with any of the words. Each word is quoted, so that nothing in a text can
 * act as query syntax. Words hold letters and digits only; the doubling of quotes is for callers that bring others.
 */
export function anyOf(words: readonly string[]): string {
  return words.map((word) => `"${word.replaceAll('"', '""')}"`).join(' OR ');
}

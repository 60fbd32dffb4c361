/**
 * Text of data, models, logs and servers, made fit for a terminal. A row could otherwise move the cursor, hide lines, set
 * the window's title or the clipboard, or turn the direction of what follows.
 */

/** Control characters but tab and line feed, and the invisible ones that change direction or order of text. */
const UNSAFE = /(?![\t\n])[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu;

/** Unsafe characters in the notation of JSON (`\u001b`), so that JSON stays JSON; lines and tabs stay. */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll(UNSAFE, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

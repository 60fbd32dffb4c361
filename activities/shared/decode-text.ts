/** Decodes a whole text file of a user's by its byte order mark: UTF-8 without one, UTF-8, UTF-16 in either order. */

/** Encodings by the bytes that a file begins with. */
const MARKS: readonly (readonly [mark: string, encoding: string])[] = [
  ['efbbbf', 'utf-8'],
  ['fffe', 'utf-16le'],
  ['feff', 'utf-16be'],
];

/** The text, without the mark; null when the bytes are not of that encoding. */
export function decodeText(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 3)).toString('hex');
  const encoding = MARKS.find(([mark]) => start.startsWith(mark))?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Decodes a whole text file of a user's by its byte order mark: UTF-8, UTF-16 in either order; both also without one. */

/** Encodings by the bytes that a file begins with. */
const MARKS: readonly (readonly [mark: string, encoding: string])[] = [
  ['efbbbf', 'utf-8'],
  ['fffe', 'utf-16le'],
  ['feff', 'utf-16be'],
];

/** UTF-16 without a mark shows in the first letter, half of which is zero when it is of ASCII. */
function unmarked(bytes: Uint8Array): string {
  if (bytes.length < 2 || bytes[0] === bytes[1]) return 'utf-8';
  if (bytes[1] === 0) return 'utf-16le';
  return bytes[0] === 0 ? 'utf-16be' : 'utf-8';
}

/** The text, without the mark; null when the bytes are not of that encoding or hold zero letters. */
export function decodeText(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 3)).toString('hex');
  const encoding = MARKS.find(([mark]) => start.startsWith(mark))?.[1] ?? unmarked(bytes);
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return text.includes('\0') ? null : text;
  } catch {
    return null;
  }
}

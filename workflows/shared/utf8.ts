/** Sizes of text as it is sent: UTF-8. Pure and deterministic; workflow code has no encoder that is sure to be there. */

/** Bytes of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) bytes += unitBytes(text.charCodeAt(at));
  return bytes;
}

/** The longest beginning of a text that fits, marked with an ellipsis when something was cut off. */
export function cutToBytes(text: string, maxBytes: number): string {
  if (utf8Bytes(text) <= maxBytes) return text;
  let [bytes, kept] = [utf8Bytes('…'), ''];
  for (const character of text) {
    bytes += utf8Bytes(character);
    if (bytes > maxBytes) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Of a code unit: half of a pair of surrogates takes half of the four bytes that both take. */
function unitBytes(unit: number): number {
  if (unit < 0x80) return 1;
  return unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
}

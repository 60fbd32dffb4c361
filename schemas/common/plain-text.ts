/** Text as a UI shows it and as it is sent. Pure and deterministic: workflow code, which has no encoder, may use it. */

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

/** Words of others as one line of so many bytes for a summary: no control characters, no links, no HTML. */
export function summaryLine(text: string, maxBytes: number): string {
  const line = text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  const escaped = withoutLinks(line).replaceAll(/[[<]/g, (one) => `&#${one.charCodeAt(0)};`);
  return cutToBytes(escaped.replaceAll(/\p{Surrogate}/gu, '\ufffd'), maxBytes);
}

/** Holds two characters together and shows nothing. */
const JOINER = '\u2060';

/** Markdown makes links of bare addresses, entities or not: a joiner that nobody sees keeps them text. */
export function withoutLinks(text: string): string {
  return text
    .replaceAll('://', `:${JOINER}//`)
    .replaceAll(/www(?=\.)/gi, `$&${JOINER}`)
    .replaceAll('@', `@${JOINER}`);
}

/** UTF-8 bytes of a code unit: half of a pair of surrogates takes half of the four bytes that both take. */
function unitBytes(unit: number): number {
  if (unit < 0x80) return 1;
  return unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
}

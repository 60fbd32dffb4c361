/** Bounds of a whole spec. Pure: workflow code may import it, to look before it hands a spec on. */

/** Levels of objects and lists in a spec; written ones have about ten. */
export const MAX_SPEC_DEPTH = 64;

/** Bytes of a spec as JSON without blanks. */
export const MAX_SPEC_BYTES = 256 * 1024;

/**
 * What is too much about a spec, or null. Walks level by level, without calling itself, and stops at the first byte or
 * level beyond a bound, so that it takes no longer than reading `MAX_SPEC_BYTES`.
 */
export function beyondBounds(raw: unknown): string | null {
  let level: unknown[] = [raw];
  let sizeBytes = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_SPEC_DEPTH) return `is nested more than ${MAX_SPEC_DEPTH} levels deep`;
    const next: unknown[] = [];
    for (const value of level) {
      sizeBytes += ownBytes(value, MAX_SPEC_BYTES - sizeBytes);
      if (sizeBytes > MAX_SPEC_BYTES) {
        return `is larger than ${MAX_SPEC_BYTES / 1024} KiB as JSON; data belongs into files that the spec names`;
      }
      if (typeof value !== 'object' || value === null) continue;
      for (const member of Object.values(value) as unknown[]) next.push(member);
    }
    level = next;
  }
  return null;
}

/** Bytes that a value takes beside those of its members; more than `left` once that is certain. */
function ownBytes(value: unknown, left: number): number {
  if (typeof value === 'string') return textBytes(value, left);
  if (typeof value !== 'object' || value === null) return String(value).length;
  if (Array.isArray(value)) return value.length + 2;
  let bytes = 2;
  // A loop over names as they come: a list of all of them may be larger than what is allowed.
  for (const name in value) {
    if (Object.hasOwn(value, name)) bytes += textBytes(name, left) + 2;
    if (bytes > left) break;
  }
  return bytes;
}

/** Bytes of a text in quotes, as JSON in UTF-8. */
function textBytes(text: string, left: number): number {
  if (text.length > left) return text.length;
  let bytes = 2;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22 || unit === 0x5c) bytes += 2;
    else if (unit < 0x20) bytes += 6;
    else if (unit < 0x80) bytes += 1;
    // Half of a pair of surrogates takes half of the four bytes that both take.
    else bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}

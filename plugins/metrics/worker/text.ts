/**
 * One blank for every run of white space, none at the ends; lower case if asked. NFC first, so that one and the same
 * letter written with and without a combining mark is equal.
 */
export function tidy(text: string, ignoreCase: boolean): string {
  const plain = text.normalize('NFC').trim().replace(/\s+/gu, ' ');
  return ignoreCase ? plain.toLowerCase() : plain;
}

/** Runs of letters, marks and digits; everything else separates. */
export function splitWords(text: string, ignoreCase: boolean): string[] {
  return tidy(text, ignoreCase).match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/** How often each item occurs. */
export function countItems(items: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** Size of the intersection of two multisets. */
export function overlap(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  let shared = 0;
  for (const [item, count] of a) shared += Math.min(count, b.get(item) ?? 0);
  return shared;
}

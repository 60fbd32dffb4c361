/**
 * What rows that were derived from one another have in common. A derived row (a paraphrase, a repeated row) has the id of
 * its origin with `.`, a letter and a number behind it, as often as it was derived.
 */
export function rowFamily(id: string): string {
  return id.replace(/(?:\.[a-z][0-9]+)+$/, '');
}

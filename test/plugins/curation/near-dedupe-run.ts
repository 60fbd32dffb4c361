import type { JsonObject } from '../../../schemas/common/json.ts';
import { csvOf } from './harness.ts';
import type { Harness } from './harness.ts';
import { membersOf } from './planted.ts';

interface Texts {
  readonly input: string;
  readonly output: string;
}

/**
 * Runs `curate.near-dedupe@1` on rows. `found[i]` is the row (from 0) that stays for row i; `kept` are the texts that
 * stay.
 */
export async function nearDedupe(harness: Harness, rows: readonly Texts[], options: JsonObject = {}) {
  const name = await harness.file('rows.csv', csvOf(rows.map(({ input, output }) => [input, output])));
  const { dataset } = await harness.read(name);
  const output = await harness.run('curate.near-dedupe@1', { dataset, ...options });
  const stays = new Map<number, number>();
  for (const { row, kept } of await harness.rows(output['matches'])) {
    stays.set(Number(row) - 1, Number(kept) - 1);
  }
  const found = rows.map((_, index) => stays.get(index) ?? index);
  const kept = rows.filter((_, index) => !stays.has(index)).map((row) => `${row.input}\t${row.output}`);
  return { output, found, kept };
}

/** Clusters as sorted lists of texts: the same for rows in any order. */
export function clusterTexts(rows: readonly Texts[], found: readonly number[]): string[] {
  const textOf = (index: number): string => `${rows[index]?.input}\t${rows[index]?.output}`;
  return membersOf(found)
    .map((members) => members.map(textOf).sort().join('\n'))
    .sort();
}

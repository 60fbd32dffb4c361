import type { RetrieverHit, RetrieverIndexV1 } from '../../sdk/contracts/retriever.ts';
import { rowFamily } from '../../sdk/row-family.ts';
import type { DataRow } from '../../sdk/dataset/read-rows.ts';

/** Hits asked for beyond those that are needed, for the row itself and what was derived from it. */
const SPARE_HITS = 4;

/**
 * The best hits for a row's input that do not hold its own answer: not the row itself, nor what was derived from it or
 * from its origin. `answers` says whether a hit of the row's family has its answer: rows of another dataset may have the
 * same ids. Passages of documents have ids of their own, and all of them count.
 */
export async function searchOthers(
  index: RetrieverIndexV1,
  row: Pick<DataRow, 'id' | 'input'>,
  limit: number,
  answers: (hit: RetrieverHit) => boolean | Promise<boolean>,
): Promise<readonly RetrieverHit[]> {
  const family = rowFamily(row.id);
  for (let asked = limit + SPARE_HITS; ; asked *= 2) {
    const hits = await index.doSearch(row.input, asked);
    const others: RetrieverHit[] = [];
    for (const hit of hits) if (rowFamily(hit.id) !== family || !(await answers(hit))) others.push(hit);
    if (others.length >= limit || hits.length < asked) return others.slice(0, limit);
  }
}

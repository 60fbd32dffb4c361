import { createHash } from 'node:crypto';
import type { RetrieverHit } from '../../sdk/contracts/retriever.ts';
import type { StepServices } from '../../sdk/contracts/step-kind.ts';
import type { Demonstrations } from '../../../schemas/outcome/recipe.ts';
import { readRows, type DataRow } from '../../sdk/dataset/read-rows.ts';
import { searchOthers } from '../retrieve/search-others.ts';
import { rowFamily } from '../../sdk/row-family.ts';

/** Demonstrations for one row after the other. */
export interface DemonstrationSelector {
  /** The demonstrations of a row, in the order in which they are shown; never the row itself. */
  select(row: DataRow): Promise<readonly DataRow[]>;
  close(): Promise<void>;
}

type Services = Pick<StepServices, 'retriever' | 'store'> & { readonly signal: AbortSignal };

/** Rows in a seeded order that does not depend on the order they are given in. */
function seededOrder(rows: readonly DataRow[], seed: number): DataRow[] {
  const key = (row: DataRow) => createHash('sha256').update(`${seed}\n${row.id}`).digest('hex');
  return rows
    .map((row) => ({ row, key: key(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => row);
}

/**
 * Opens the rows that a recipe's demonstrations are chosen from. `random` shows everybody the same seeded rows (the prefix
 * is then computed once); `nearest` looks up the rows nearest to the input, the nearest one last, next to the question.
 */
export async function openDemonstrations(
  demonstrations: Demonstrations | null,
  services: Services,
): Promise<DemonstrationSelector> {
  const close = async (): Promise<void> => undefined;
  if (demonstrations === null) return { select: async () => [], close };
  const rows = await readRows(await services.store.localPath(demonstrations.rows));
  return demonstrations.selection === 'random'
    ? { select: randomSelector(rows, demonstrations), close }
    : await nearestSelector(rows, demonstrations, services);
}

function randomSelector(
  rows: readonly DataRow[],
  { seed, shots }: Extract<Demonstrations, { selection: 'random' }>,
): DemonstrationSelector['select'] {
  const ordered = seededOrder(rows, seed);
  return async ({ id, output }) => {
    const family = rowFamily(id);
    const chosen: DataRow[] = [];
    for (const row of ordered) {
      if (chosen.length >= shots) break;
      if (row.output !== output || rowFamily(row.id) !== family) chosen.push(row);
    }
    return chosen;
  };
}

async function nearestSelector(
  rows: readonly DataRow[],
  { retriever, shots }: Extract<Demonstrations, { selection: 'nearest' }>,
  services: Services,
): Promise<DemonstrationSelector> {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const documents = rows.map((row) => ({ id: row.id, text: row.input }));
  const index = await services.retriever(retriever).doIndex(documents, { signal: services.signal });
  const shown = (hits: readonly RetrieverHit[]) => hits.flatMap(({ id }) => byId.get(id) ?? []).reverse();
  return {
    select: async (row) => {
      const answers = ({ id }: RetrieverHit): boolean => byId.get(id)?.output === row.output;
      return shown(await searchOthers(index, row, shots, answers));
    },
    close: async () => await index.close(),
  };
}

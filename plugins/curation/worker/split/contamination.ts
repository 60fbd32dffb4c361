import { EscadaFailure } from '../../../sdk/contracts/failure.ts';
import type { StepDatabase } from '../step-database.ts';
import { parquetTable } from '../sql.ts';
import { SPLITS } from './assign.ts';
import type { SplitName } from './assign.ts';

export interface Contamination {
  /** Texts of dev and test that were looked for in another split. */
  readonly checked: number;
  readonly shared: 0;
}

/**
 * Reads the finished files back and looks for a normalised input, or an answer that is not a label or a stock phrase,
 * that two splits share. None can be there by construction: one that is, is a fault (`INTERNAL`).
 */
export async function checkContamination(
  database: StepDatabase,
  paths: Readonly<Record<SplitName, string>>,
): Promise<Contamination> {
  database.phase = 'checking for shared rows';
  const parts = SPLITS.map((split) => `SELECT '${split}' AS split, * FROM ${parquetTable(paths[split])}`);
  await database.run(
    `CREATE TABLE texts AS
     SELECT split, 'input' AS part, md5(text_key(input)) AS digest FROM (${parts.join(' UNION ALL ')})
     UNION ALL SELECT split, 'output', ko FROM keys JOIN (${parts.join(' UNION ALL ')}) USING (id) WHERE ko IS NOT NULL`,
  );
  const shared = await database.rows(
    `SELECT part, count(*) AS n FROM (SELECT part, digest FROM texts GROUP BY part, digest
     HAVING count(DISTINCT split) > 1) GROUP BY part ORDER BY part`,
  );
  if (shared.length > 0) {
    const list = shared.map((row) => `${Number(row['n'])} ${String(row['part'])}s`).join(' and ');
    throw new EscadaFailure({ code: 'INTERNAL', message: `The splits share ${list}.` });
  }
  return { checked: await database.number("SELECT count(*) FROM texts WHERE split <> 'train'"), shared: 0 };
}

import { dirname, join } from 'node:path';
import type { StepDatabase } from '../step-database.ts';
import { literal } from '../sql.ts';
import type { DataFile } from './unreadable.ts';

/**
 * Copies the rows of a SELECT over a text file, in their order, to a Parquet file in the scratch folder and makes that
 * the view `raw(row, …)`. Numbering rows while the text is read would do it on one thread and hold all of it: Parquet
 * numbers its rows for nothing.
 */
export async function stage(database: StepDatabase, file: DataFile, select: string): Promise<void> {
  const path = literal(join(dirname(file.path), 'stage.parquet'));
  await database.run(`COPY (${select}) TO ${path} (FORMAT parquet, COMPRESSION lz4_raw)`);
  await database.run(
    `CREATE VIEW raw AS SELECT file_row_number + 1 AS row, * EXCLUDE (file_row_number)
     FROM read_parquet(${path}, file_row_number=true, hive_partitioning=false)`,
  );
}

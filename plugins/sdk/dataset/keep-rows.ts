import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { z } from 'zod';
import { artifactRefSchema, type ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { rowCountsSchema } from '../../../schemas/outcome/row-counts.ts';
import { EscadaFailure } from '../contracts/failure.ts';
import type { StepContext } from '../contracts/step-kind.ts';
import { whileWatchedElsewhere } from '../movement.ts';
import { SPILL_FOLDER } from '../rows-folder.ts';

/** Media type of datasets. */
export const DATASET_TYPE = 'application/vnd.apache.parquet';

/** Output of a step that passes a dataset on: the dataset, the rows that it has, and those that were left out. */
export const keptRowsSchema = z.strictObject({
  dataset: artifactRefSchema,
  ...rowCountsSchema.omit({ droppedSamples: true }).shape,
});

export type KeptRows = z.infer<typeof keptRowsSchema>;

/** A row before curation is complete: a text may be missing. */
export interface SourceRow {
  readonly id: string;
  readonly input: string | null;
  readonly output: string | null;
}

const MEMORY_LIMIT = '512MiB';
const ROW_GROUP_ROWS = 2048;
const text = (path: string): string => `'${path.replaceAll("'", "''")}'`;

/**
 * Publishes the rows of a dataset for which `keep` is true as a dataset, all columns as they are and in their order.
 * Rows are read in pieces, so a dataset may be larger than the memory. Throws `DATA_UNREADABLE` for an artifact that is
 * no dataset, what `keep` throws, and the signal's reason.
 */
export async function keepRows(
  dataset: ArtifactRef,
  context: StepContext,
  keep: (row: SourceRow) => boolean,
): Promise<KeptRows> {
  const path = await context.store.localPath(dataset);
  const folder = join(context.scratchDir, SPILL_FOLDER);
  await mkdir(folder, { recursive: true });
  const source = `read_parquet(${text(path)}, hive_partitioning=false, file_row_number=true)`;
  const settings = { threads: '1', memory_limit: MEMORY_LIMIT, temp_directory: folder };
  const instance = await DuckDBInstance.create(':memory:', settings);
  const [reader, writer] = [await instance.connect(), await instance.connect()];
  const interrupt = (): void => [reader, writer].forEach((connection) => connection.interrupt());
  context.signal.addEventListener('abort', interrupt);
  try {
    const counts = await markDropped(reader, writer, { source, keep, dataset, context });
    const kept = join(context.scratchDir, 'kept-rows.parquet');
    const select = `SELECT * EXCLUDE (file_row_number) FROM ${source} ANTI JOIN dropped USING (file_row_number) ORDER BY file_row_number`;
    const form = `FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`;
    await whileWatchedElsewhere(() => writer.run(`COPY (${select}) TO ${text(kept)} (${form})`));
    context.signal.throwIfAborted();
    return { dataset: await context.store.putFile(kept, DATASET_TYPE), ...counts };
  } catch (error) {
    // An interrupted statement says so; what counts is who stopped it.
    throw context.signal.aborted ? context.signal.reason : error;
  } finally {
    context.signal.removeEventListener('abort', interrupt);
    for (const connection of [reader, writer]) connection.closeSync();
    instance.closeSync();
  }
}

interface Marking {
  readonly source: string;
  readonly keep: (row: SourceRow) => boolean;
  readonly dataset: ArtifactRef;
  readonly context: StepContext;
}

/** Fills the table `dropped` with the numbers of rows that are not kept. */
async function markDropped(
  reader: DuckDBConnection,
  writer: DuckDBConnection,
  { source, keep, dataset, context }: Marking,
): Promise<Pick<KeptRows, 'rows' | 'dropped'>> {
  await writer.run('CREATE TABLE dropped (file_row_number BIGINT)');
  const appender = await writer.createAppender('dropped');
  let [rows, dropped] = [0, 0];
  for await (const piece of piecesOf(reader, source, dataset)) {
    context.signal.throwIfAborted();
    for (const { file_row_number: number, ...row } of piece) {
      if (keep(row)) rows += 1;
      else {
        dropped += 1;
        appender.appendBigInt(number);
        appender.endRow();
      }
    }
    context.heartbeat({ rows: rows + dropped });
  }
  appender.closeSync();
  return { rows, dropped };
}

type NumberedRow = SourceRow & { readonly file_row_number: bigint };

async function* piecesOf(
  reader: DuckDBConnection,
  source: string,
  { uri }: ArtifactRef,
): AsyncGenerator<readonly NumberedRow[]> {
  try {
    const result = await whileWatchedElsewhere(() =>
      reader.stream(`SELECT file_row_number, id, input, output FROM ${source}`),
    );
    yield* result.yieldRowObjectJs() as AsyncIterable<readonly unknown[]> as AsyncIterable<
      readonly NumberedRow[]
    >;
  } catch (cause) {
    const message = `Artifact ${uri} is not a dataset, or is damaged: ${String(cause).split('\n')[0]}.`;
    throw new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { uri }, cause });
  }
}

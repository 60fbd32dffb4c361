import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext } from '../../sdk/contracts/step-kind.ts';
import type { Cell, StepDatabase, Row } from './step-database.ts';
import { copyToParquet, parquetTable } from './sql.ts';
import { PARQUET_TYPE } from './step-output.ts';
import type { DatasetOutput } from './step-output.ts';

const MAX_SAMPLES = 5;
const MAX_SAMPLE_CHARACTERS = 200;

/**
 * Columns that a dataset may have beyond `row`, `id`, `input` and `output`. `grp`: rows of one group stay in one split.
 * `category`: what kind of row it is. `parent`: id of the original row that a copy or a paraphrase goes back to, null
 * for originals; never the id of another derived row.
 */
export const OPTIONAL_COLUMNS = ['grp', 'category', 'parent'] as const;
export type OptionalColumn = (typeof OPTIONAL_COLUMNS)[number];

export interface OpenDataset {
  readonly rows: number;
  readonly optional: readonly OptionalColumn[];
  /** `row`, `id`, `input`, `output` and the optional ones that are there. */
  readonly columns: readonly string[];
}

/**
 * Makes the dataset the view `src` and an empty table `dropped(row, reason)`. Files without `row`, such as a split's,
 * count their rows from 1. Throws `DATA_UNREADABLE` when the artifact is not a dataset of these steps.
 */
export async function openDataset(
  database: StepDatabase,
  context: StepContext,
  ref: ArtifactRef,
): Promise<OpenDataset> {
  const path = await context.store.localPath(ref);
  const table = parquetTable(path);
  const names = await columnNames(database, context, table, ref);
  const missing = ['id', 'input', 'output'].filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw notADataset(ref, `it has no column ${missing.join(', ')}; its columns are ${names.join(', ')}`);
  }
  const optional = OPTIONAL_COLUMNS.filter((name) => names.includes(name));
  const columns = ['row', 'id', 'input', 'output', ...optional];
  const select = columns.map((name) =>
    name === 'row' && !names.includes('row') ? 'file_row_number + 1 AS row' : name,
  );
  await database.run(`CREATE VIEW src AS SELECT ${select.join(', ')} FROM ${parquetTable(path, 'numbered')}`);
  await database.run('CREATE TABLE dropped (row BIGINT, reason VARCHAR)');
  return { rows: await database.number('SELECT count(*) FROM src'), optional, columns };
}

async function columnNames(
  database: StepDatabase,
  context: StepContext,
  table: string,
  ref: ArtifactRef,
): Promise<string[]> {
  try {
    return (await database.rows(`DESCRIBE SELECT * FROM ${table}`)).map((row) => String(row['column_name']));
  } catch (cause) {
    context.signal.throwIfAborted();
    throw notADataset(ref, 'it is not a Parquet file', cause);
  }
}

/**
 * Publishes the rows of `src` that are not in `dropped`, in the order of `row`. `changes` gives SQL for the columns
 * that are not just passed on. Throws what the store throws.
 */
export async function publishKept(
  database: StepDatabase,
  context: StepContext,
  source: OpenDataset,
  changes: Readonly<Record<string, string>> = {},
): Promise<DatasetOutput> {
  const dropped = await database.number('SELECT count(*) FROM dropped');
  const select = source.columns.map((name) =>
    changes[name] === undefined ? name : `${changes[name]} AS ${name}`,
  );
  const kept = dropped === 0 ? 'src' : 'src ANTI JOIN dropped USING (row)';
  const dataset = await publishSelect(
    database,
    context,
    `SELECT ${select.join(', ')} FROM ${kept} ORDER BY row`,
    'kept',
  );
  const droppedSamples = await putDroppedSamples(database, context);
  return { dataset, rows: source.rows - dropped, dropped, droppedSamples, sizeBytes: dataset.sizeBytes };
}

/** Writes the rows of an ordered SELECT to an artifact. */
export async function publishSelect(
  database: StepDatabase,
  context: StepContext,
  select: string,
  name: string,
): Promise<ArtifactRef> {
  database.phase = `writing ${name}`;
  const path = join(context.scratchDir, `${name}.parquet`);
  await database.run(copyToParquet(select, path));
  const ref = await context.store.putFile(path, PARQUET_TYPE);
  await rm(path);
  return ref;
}

export interface DroppedSample {
  readonly row: number;
  readonly reason: string;
  readonly input: string | null;
  readonly output: string | null;
}

/** Stores the first rows of `dropped` with what they say. */
export async function putDroppedSamples(database: StepDatabase, context: StepContext): Promise<ArtifactRef> {
  const rows = await database.rows(
    `SELECT row, reason, input, output FROM src JOIN dropped USING (row) ORDER BY row LIMIT ${MAX_SAMPLES}`,
  );
  return await putSamples(context, rows);
}

/** Stores rows with `row`, `reason`, `input` and `output` as samples of dropped rows. */
export async function putSamples(context: StepContext, rows: readonly Row[]): Promise<ArtifactRef> {
  const samples = rows.slice(0, MAX_SAMPLES).map(({ row, reason, input, output }): DroppedSample => ({
    row: Number(row),
    reason: String(reason),
    input: cut(input ?? null),
    output: cut(output ?? null),
  }));
  return await context.store.putJson(samples);
}

function cut(value: Cell): string | null {
  if (value === null) return null;
  const characters = [...String(value)];
  if (characters.length <= MAX_SAMPLE_CHARACTERS) return characters.join('');
  return `${characters.slice(0, MAX_SAMPLE_CHARACTERS - 1).join('')}…`;
}

function notADataset(ref: ArtifactRef, why: string, cause?: unknown): EscadaFailure {
  const message = `Artifact ${ref.uri} is not a dataset: ${why}.`;
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { uri: ref.uri }, cause });
}

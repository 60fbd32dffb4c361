import type { StepDatabase, Row } from '../step-database.ts';
import type { HashJob } from './jobs.ts';
import type { NearDedupeInput } from './options.ts';

/** Texts of one job: few enough to cancel quickly, many enough to pay for the message. */
const JOB_TEXTS = 256;

/** SQL for what is compared of a column: lower case and single blanks; for words, also without punctuation. */
function compared(column: string, unit: NearDedupeInput['shingle']['unit']): string {
  const plain = `text_key(coalesce(${column}, ''))`;
  if (unit === 'character') return plain;
  return String.raw`coalesce(nullif(trim(regexp_replace(${plain}, '[^\p{L}\p{M}\p{N}]+', ' ', 'g')), ''), ${plain})`;
}

function comparedColumns({ columns, shingle }: NearDedupeInput): string[] {
  const names = columns === 'both' ? ['input', 'output'] : [columns];
  return names.map((name) => compared(name, shingle.unit));
}

/**
 * Makes `texts(t, k, first)`, the distinct texts, and `near_keys(row, k)`. Texts are numbered by their digest: what
 * follows then depends on the content only, not on the order of the rows. Returns how many there are.
 */
export async function numberTexts(database: StepDatabase, input: NearDedupeInput): Promise<number> {
  database.phase = 'numbering distinct texts';
  const digest = `md5_number(${comparedColumns(input).join(' || chr(31) || ')})`;
  await database.run(`CREATE TABLE near_keys AS SELECT row, ${digest} AS k FROM src`);
  await database.run(
    `CREATE TABLE texts AS SELECT (row_number() OVER (ORDER BY k) - 1)::INTEGER AS t, k, first
     FROM (SELECT k, min(row) AS first FROM near_keys GROUP BY k)`,
  );
  return await database.number('SELECT count(*) FROM texts');
}

/** Jobs for the texts of a table with a column `t`, in no order. */
export async function* hashJobs(
  database: StepDatabase,
  input: NearDedupeInput,
  op: HashJob['op'],
  table: string,
): AsyncGenerator<HashJob> {
  const columns = comparedColumns(input).map((sql, index) => `${sql} AS c${index}`);
  const names = columns.map((_, index) => `c${index}`);
  const select = `SELECT t, ${columns.join(', ')} FROM src
    JOIN (SELECT t, first AS row FROM texts AS own SEMI JOIN ${table} AS wanted USING (t)) USING (row)`;
  for await (const rows of database.stream(select)) {
    for (let start = 0; start < rows.length; start += JOB_TEXTS) {
      const chunk = rows.slice(start, start + JOB_TEXTS);
      yield {
        op,
        texts: Int32Array.from(chunk, (row) => Number(row['t'])),
        columns: chunk.map((row) => names.map((name) => textOf(row, name))),
      };
    }
  }
}

function textOf(row: Row, name: string): string {
  const value = row[name];
  return typeof value === 'string' ? value : '';
}

/** Fills a table of integer columns. */
export async function fillIntegers(
  database: StepDatabase,
  table: string,
  rows: Iterable<readonly number[]>,
): Promise<void> {
  const appender = await database.appender(table);
  for (const row of rows) {
    for (const value of row) appender.appendInteger(value);
    appender.endRow();
  }
  appender.closeSync();
}

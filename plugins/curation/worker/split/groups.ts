import type { OpenDataset } from '../dataset.ts';
import type { StepDatabase } from '../step-database.ts';

/** Answers of fewer words are labels or short facts: rows may share them without being about the same thing. */
export const MIN_ANSWER_WORDS = 5;
/** An answer given this often is a stock phrase, not a leak. */
const STOCK_SHARE = 0.05;
const STOCK_ROWS = 50;

/** Macro `words_key`: the words of a text in alphabetical order, each once; the text itself when it has none. */
export const WORDS_KEY = String.raw`CREATE MACRO words_key(x) AS coalesce(nullif(array_to_string(list_sort(list_distinct(
      regexp_extract_all(text_key(x), '[\p{L}\p{M}\p{N}]+'))), ' '), ''), text_key(x))`;

/**
 * Makes `keys(n, row, id, ki, kw, ko, kg, kp)`: `n` counts rows from 0; the others are digests of what makes rows belong
 * together (null: nothing): the input as text, the words of the input in any order, a long answer, the given group, the row it
 * was derived from (an original is its own).
 */
export async function makeKeys(database: StepDatabase, source: OpenDataset): Promise<void> {
  database.phase = 'comparing rows';
  await database.run(WORDS_KEY);
  const group = source.optional.includes('grp')
    ? `CASE WHEN NOT is_blank(grp) THEN md5(trim(grp)) END`
    : 'NULL::VARCHAR';
  const parent = source.optional.includes('parent') ? 'md5(coalesce(parent, id))' : 'NULL::VARCHAR';
  await database.run(
    String.raw`CREATE TABLE all_keys AS SELECT row, id, md5(text_key(input)) AS ki, md5(words_key(input)) AS kw,
      CASE WHEN len(regexp_extract_all(output, '\S+')) >= ${MIN_ANSWER_WORDS} THEN md5(text_key(output)) END AS ko,
      ${group} AS kg, ${parent} AS kp FROM src`,
  );
  const most = Math.max(STOCK_ROWS, Math.floor(source.rows * STOCK_SHARE));
  await database.run(
    `CREATE TABLE stock AS SELECT ko FROM all_keys WHERE ko IS NOT NULL GROUP BY ko HAVING count(*) > ${most}`,
  );
  await database.run(
    `CREATE TABLE keys AS SELECT (row_number() OVER (ORDER BY row) - 1)::INTEGER AS n, row, id, ki, kw,
      CASE WHEN ko NOT IN (FROM stock) THEN ko END AS ko, kg, kp FROM all_keys`,
  );
  await database.run('DROP TABLE all_keys');
}

/** A set of rows that must stay on one side. */
export interface Group {
  /** `n` of its first row. */
  readonly root: number;
  readonly size: number;
}

/**
 * Joins rows that share any key, also over several steps, and makes `members(n, root)`. Returns the groups in an order
 * that depends on their content and the seed only, not on the order of the rows.
 */
export async function makeGroups(database: StepDatabase, rows: number, seed: number): Promise<Group[]> {
  const parents = new Int32Array(rows).map((_, index) => index);
  for (const key of ['ki', 'kw', 'ko', 'kg', 'kp']) await joinBy(database, key, parents);
  await database.run('CREATE TABLE members (n INTEGER, root INTEGER)');
  const appender = await database.appender('members');
  for (let n = 0; n < rows; n += 1) {
    appender.appendInteger(n);
    appender.appendInteger(rootOf(parents, n));
    appender.endRow();
  }
  appender.closeSync();
  const { root = [], size = [] } = await database.columns(
    `SELECT root, count(*) AS size FROM members JOIN keys USING (n) GROUP BY root
     ORDER BY md5(min(ki) || ':${seed}'), root`,
  );
  return root.map((value, index) => ({ root: Number(value), size: Number(size[index]) }));
}

/** Only rows that share a key with an earlier one come out of the database: few, however large the table is. */
async function joinBy(database: StepDatabase, key: string, parents: Int32Array): Promise<void> {
  const firsts = `SELECT ${key}, min(n) AS first FROM keys WHERE ${key} IS NOT NULL GROUP BY ${key} HAVING count(*) > 1`;
  const pairs = `SELECT n, first FROM keys JOIN (${firsts}) USING (${key}) WHERE n <> first`;
  for await (const rows of database.stream(pairs)) {
    for (const row of rows) join(parents, Number(row['n']), Number(row['first']));
  }
}

/** The smaller root wins, so that the result does not depend on the order of the joins. */
function join(parents: Int32Array, a: number, b: number): void {
  const [left, right] = [rootOf(parents, a), rootOf(parents, b)];
  if (left < right) parents[right] = left;
  else parents[left] = right;
}

function rootOf(parents: Int32Array, start: number): number {
  let at = start;
  for (let up = parents[at] ?? at; up !== at; up = parents[at] ?? at) {
    const over = parents[up] ?? up;
    parents[at] = over;
    at = over;
  }
  return at;
}

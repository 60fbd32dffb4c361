import {
  MAX_PROFILE_ROWS,
  type DataProfile,
  type SplitProfile,
} from '../../../../schemas/outcome/data-profile.ts';
import type { StepDatabase } from '../step-database.ts';
import { parquetTable } from '../sql.ts';
import { SPLITS } from './assign.ts';
import type { SplitName } from './assign.ts';
import { classesOf, lengthsOf } from './profile-table.ts';

/** Outputs are labels when there are at most so many different ones, each short, and twice as many rows. */
const [MAX_CLASSES, MAX_LABEL_CHARACTERS, MIN_ROWS_PER_CLASS] = [20, 80, 2];

/** Profiles of the splits' files. Of a split of more than `maxRows` rows, every k-th row in file order counts. */
export async function profileSplits(
  database: StepDatabase,
  paths: Readonly<Record<SplitName, string>>,
  maxRows: number = MAX_PROFILE_ROWS,
): Promise<DataProfile> {
  const labels = await labelsOf(database, Object.values(paths));
  const profiles: [SplitName, SplitProfile][] = [];
  for (const split of SPLITS)
    profiles.push([split, await profileSplit(database, paths[split], labels, maxRows)]);
  return Object.fromEntries(profiles) as DataProfile;
}

/** The labels of all splits, sorted; null when outputs are texts. */
async function labelsOf(database: StepDatabase, paths: readonly string[]): Promise<readonly string[] | null> {
  const all = paths.map((path) => `SELECT output FROM ${parquetTable(path)}`).join(' UNION ALL ');
  const rows = await database.number(`SELECT count(*) FROM (${all})`);
  const { label = [] } = await database.columns(
    `SELECT DISTINCT output AS label FROM (${all}) ORDER BY label LIMIT ${MAX_CLASSES + 1}`,
  );
  const labels = label.map(String);
  const few = labels.length <= MAX_CLASSES && rows >= labels.length * MIN_ROWS_PER_CLASS;
  return few && labels.every((one) => one.length <= MAX_LABEL_CHARACTERS) ? labels : null;
}

/** Texts stay in the database unless they are labels: what leaves it is two numbers a row, whatever the texts are. */
async function profileSplit(
  database: StepDatabase,
  path: string,
  labels: readonly string[] | null,
  maxRows: number,
): Promise<SplitProfile> {
  const rows = await database.number(`SELECT count(*) FROM ${parquetTable(path)}`);
  const stride = Math.max(1, Math.ceil(rows / maxRows));
  const columns = await database.columns(
    `SELECT length(input)::INTEGER AS input, length(output)::INTEGER AS output${labels === null ? '' : ', output AS label'}
     FROM ${parquetTable(path, 'numbered')} WHERE file_row_number % ${stride} = 0 ORDER BY file_row_number`,
  );
  const { input = [], output = [], label = [] } = columns;
  return {
    rows,
    sampledRows: input.length,
    input: lengthsOf(input as number[]),
    output: lengthsOf(output as number[]),
    classes: labels === null ? null : classesOf(label as string[], labels),
  };
}

import { z } from 'zod';
import { CURATION_KINDS } from '../contract.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext } from '../../sdk/contracts/step-kind.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { publishSelect } from './dataset.ts';
import type { OpenDataset } from './dataset.ts';
import type { StepDatabase } from './step-database.ts';

/** Columns that options may name, by the names under which a spec maps them. */
export const namedColumnSchema = z.enum(['output', 'group', 'category']);

/**
 * Name of that column in datasets. Throws `DATA_COLUMN_MISSING` when the dataset has none.
 */
export function columnOf(source: OpenDataset, name: z.infer<typeof namedColumnSchema>): string {
  if (name === 'output') return 'output';
  const column = name === 'group' ? 'grp' : 'category';
  if (source.optional.includes(column)) return column;
  throw new EscadaFailure({
    code: 'DATA_COLUMN_MISSING',
    message: `The dataset has no ${name}. Map one with columns.${name} of ${CURATION_KINDS.read} (data.columns.${name} of a spec).`,
    fields: { wanted: name, columns: source.columns },
  });
}

/**
 * Makes the empty table `made(origin, copy, input)`: derived rows by the `row` they come from and their number (from 1);
 * `input` is null where it stays the same.
 */
export async function openMade(database: StepDatabase): Promise<void> {
  await database.run('CREATE TABLE made (origin BIGINT, copy INTEGER, input VARCHAR)');
}

/**
 * Publishes the rows of `src` that are not in `dropped`, then those of `made`. A derived row has the output, the group
 * and the category of its origin, the id of that with `.` and a letter and a number, and as `parent` the original row:
 * the split keeps all of a family in one split.
 */
export async function publishWithMade(
  database: StepDatabase,
  context: StepContext,
  source: OpenDataset,
  letter: string,
): Promise<ArtifactRef> {
  const passed = source.optional.filter((name) => name !== 'parent');
  const hasParent = source.optional.includes('parent');
  // Numbers continue after those of earlier steps, so that no two rows have one id.
  const numbers = `SELECT max(try_cast(regexp_extract(id, '\\.[a-z]([0-9]+)$', 1) AS INTEGER)) FROM src`;
  const from = await database.number(`SELECT coalesce((${numbers}), 0)`);
  const last = await database.number('SELECT coalesce(max(row), 0) FROM src');
  const others = passed.map((name) => `, ${name}`).join('');
  return await publishSelect(
    database,
    context,
    `SELECT row, id, input, output${others}, ${hasParent ? 'parent' : 'NULL::VARCHAR AS parent'}
     FROM src ANTI JOIN dropped USING (row)
     UNION ALL
     SELECT ${last} + row_number() OVER (ORDER BY copy, origin) AS row, id || '.${letter}' || (${from} + copy) AS id,
       coalesce(made.input, src.input) AS input, output${others}, ${hasParent ? 'coalesce(parent, id)' : 'id'} AS parent
     FROM made JOIN src ON src.row = made.origin
     ORDER BY row`,
    'kept',
  );
}

/** SQL for a digest of a row's content: an order that depends on the seed and the content, not on the order of rows. */
export function seededPlace(seed: number): string {
  return `md5_number(coalesce(input, chr(30)) || chr(31) || coalesce(output, chr(30)) || chr(31) || '${seed}')`;
}

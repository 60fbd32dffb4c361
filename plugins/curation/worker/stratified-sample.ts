import { z } from 'zod';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept } from './dataset.ts';
import type { OpenDataset } from './dataset.ts';
import { columnOf, namedColumnSchema, seededPlace } from './derived.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';
import { allocate } from './sample/allocate.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';

const withSchema = datasetInputSchema.extend({
  /** Rows of the sample. */
  rows: z.int().min(1).max(10_000_000),
  /** What a row's category is; `none` leaves the length only. */
  by: z.enum([...namedColumnSchema.options, 'none']).default('category'),
  /** Quantiles of the length in characters; 1 leaves the category only. */
  lengthBuckets: z.int().min(1).max(20).default(4),
  lengthOf: z.enum(['input', 'output', 'both']).default('both'),
  allocation: z.enum(['proportional', 'equal']).default('proportional'),
  /** Within a stratum, rows of other content before further ones of the same kind. */
  diverse: z.boolean().default(true),
  seed: z.int().min(0).max(2_147_483_647).default(1),
});
const count = z.int().nonnegative();
const outputSchema = datasetOutputSchema.extend({
  strata: count,
  /** JSON list of all strata: category, length from and to (characters), rows before and after, shares before and after. */
  proportions: artifactRefSchema,
  /** Largest difference between a stratum's share before and after, 0 to 1. */
  largestShift: z.number().min(0).max(1),
  /** Different contents (by a one-word sketch) among all rows and in the sample. */
  sketches: z.strictObject({ before: count, after: count }),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** More strata than this would leave a row or less to each. */
const MAX_STRATA = 20_000;

/**
 * `curate.stratified-sample@1`: so many rows, from every category and length in proportion (or evenly). Depends on
 * content and seed, not on the order of the rows. Throws `DATA_TOO_FEW_ROWS`, `DATA_COLUMN_MISSING`, `DATA_NOT_LABELS`.
 */
export function stratifiedSampleKind(options: CurationOptions): StepKindV1<With, Output> {
  return curationStep({
    kind: CURATION_KINDS.stratifiedSample,
    title: 'Draw a stratified sample',
    withSchema,
    outputSchema,
    summarize: ({ rows }) =>
      `draw ${typeof rows === 'number' ? rows : 'some'} rows over categories and lengths`,
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        if (source.rows < input.rows) throw tooFew(source.rows, input.rows);
        return await sample(database, context, source, input);
      }),
  });
}

interface Stratum {
  readonly category: string | null;
  readonly lengthFrom: number;
  readonly lengthTo: number;
  readonly before: number;
}

async function sample(
  database: StepDatabase,
  context: StepContext,
  source: OpenDataset,
  input: With,
): Promise<Output> {
  const strata = await makeStrata(database, source, input);
  const takes = allocate(
    strata.map(({ before }) => before),
    input.rows,
    input.allocation,
  );
  await choose(database, input, takes);
  const proportions = strata.map((stratum, index) => {
    const after = takes[index] ?? 0;
    const [shareBefore, shareAfter] = [stratum.before / source.rows, after / input.rows];
    return { ...stratum, after, shareBefore: rounded(shareBefore), shareAfter: rounded(shareAfter) };
  });
  const shifts = proportions.map((one) => Math.abs(one.shareBefore - one.shareAfter));
  const [sketches] = await database.rows(
    `SELECT count(DISTINCT sketch) AS before, count(DISTINCT sketch) FILTER (chosen) AS after FROM ranked`,
  );
  return {
    ...(await publishKept(database, context, source)),
    strata: strata.length,
    proportions: await context.store.putJson(proportions),
    largestShift: rounded(Math.max(0, ...shifts)),
    sketches: { before: Number(sketches?.['before'] ?? 0), after: Number(sketches?.['after'] ?? 0) },
  };
}

/** Makes `placed(row, stratum, sketch, place)`; strata are numbered by category and length. */
async function makeStrata(database: StepDatabase, source: OpenDataset, input: With): Promise<Stratum[]> {
  database.phase = 'measuring rows';
  const category = input.by === 'none' ? 'NULL' : `nullif(text_key(${columnOf(source, input.by)}), '')`;
  const length = { input: 'length(input)', output: 'length(output)', both: 'length(input) + length(output)' };
  // The smallest of the seeded digests of its words: rows that share most words mostly share it.
  const sketch = String.raw`list_min(list_transform(
    regexp_extract_all(text_key(coalesce(input, '') || ' ' || coalesce(output, '')), '[\p{L}\p{M}\p{N}]+'),
    lambda word: md5_number(word || ':${input.seed}')))`;
  await database.run(
    `CREATE TABLE measured AS SELECT row, ${category} AS category, coalesce(${length[input.lengthOf]}, 0)::INTEGER AS chars,
     coalesce(${sketch}, 0) AS sketch, ${seededPlace(input.seed)} AS place FROM src`,
  );
  const bounds = await lengthBounds(database, input.lengthBuckets);
  const bucket = bounds.map((bound) => `(chars > ${bound})::INTEGER`).join(' + ') || '0';
  await database.run(
    `CREATE TABLE strata AS SELECT (row_number() OVER (ORDER BY category NULLS LAST, bucket) - 1)::INTEGER AS stratum,
     category, bucket, min(chars) AS low, max(chars) AS high, count(*) AS rows
     FROM (SELECT category, ${bucket} AS bucket, chars FROM measured) GROUP BY category, bucket`,
  );
  const rows = await database.number('SELECT count(*) FROM strata');
  if (rows > MAX_STRATA) throw notLabels(input, rows);
  await database.run(
    `CREATE TABLE placed AS SELECT row, stratum, sketch, place FROM (SELECT *, ${bucket} AS bucket FROM measured) AS m
     JOIN strata AS s ON s.bucket = m.bucket AND s.category IS NOT DISTINCT FROM m.category`,
  );
  return (await database.rows('SELECT * FROM strata ORDER BY stratum')).map((row) => ({
    category: row['category'] === null ? null : String(row['category']),
    lengthFrom: Number(row['low']),
    lengthTo: Number(row['high']),
    before: Number(row['rows']),
  }));
}

/** Lengths above which the second and every further bucket begins; fewer when many rows are of one length. */
async function lengthBounds(database: StepDatabase, buckets: number): Promise<number[]> {
  const bounds = new Set<number>();
  for (let part = 1; part < buckets; part += 1) {
    bounds.add(
      await database.number(`SELECT coalesce(quantile_disc(chars, ${part / buckets}), 0) FROM measured`),
    );
  }
  return [...bounds];
}

/** Makes `ranked(row, sketch, chosen)` and fills `dropped`. */
async function choose(database: StepDatabase, input: With, takes: readonly number[]): Promise<void> {
  database.phase = 'choosing rows';
  await database.run('CREATE TABLE takes (stratum INTEGER, take INTEGER)');
  const appender = await database.appender('takes');
  for (const [stratum, take] of takes.entries()) {
    appender.appendInteger(stratum);
    appender.appendInteger(take);
    appender.endRow();
  }
  appender.closeSync();
  const turn = input.diverse ? 'row_number() OVER (PARTITION BY stratum, sketch ORDER BY place, row)' : '1';
  await database.run(`CREATE TABLE turns AS SELECT *, ${turn} AS turn FROM placed`);
  await database.run(
    `CREATE TABLE ranked AS SELECT row, sketch, rank <= take AS chosen FROM (SELECT *,
       row_number() OVER (PARTITION BY stratum ORDER BY turn, place, row) AS rank FROM turns) JOIN takes USING (stratum)`,
  );
  await database.run(`INSERT INTO dropped SELECT row, 'not in the sample' FROM ranked WHERE NOT chosen`);
}

const rounded = (share: number): number => Math.round(share * 1_000_000) / 1_000_000;

function tooFew(usable: number, needed: number): EscadaFailure {
  const message = `A sample of ${needed} rows was asked for, but the dataset has ${usable}. Lower "rows", or leave the step out.`;
  return new EscadaFailure({ code: 'DATA_TOO_FEW_ROWS', message, fields: { usable, needed } });
}

function notLabels({ by }: With, strata: number): EscadaFailure {
  const message = `The ${by} and the lengths make ${strata} strata; at most ${MAX_STRATA} are possible. Choose another column with "by" (output, group, category or none), or fewer lengthBuckets.`;
  return new EscadaFailure({ code: 'DATA_NOT_LABELS', message, fields: { by, strata } });
}

import { z } from 'zod';
import { dataSourceSchema } from '../../../schemas/spec/adaptation-spec.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { publishSelect } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';
import { loadDelimited } from './read/csv.ts';
import { loadJsonLines } from './read/jsonl.ts';
import { loadParquet } from './read/parquet.ts';
import { mappedColumns } from './read/pick-columns.ts';
import type { ColumnMap } from './read/pick-columns.ts';
import { locate, openSource, sourcePath } from './read/source-file.ts';
import type { SourceFile } from './read/source-file.ts';
import { unreadable } from './read/unreadable.ts';
import { datasetOutputSchema } from './step-output.ts';
import { dataFormatSchema } from '../../../schemas/spec/adaptation-spec.ts';

const withSchema = z.strictObject({
  source: dataSourceSchema,
  columns: z.strictObject({
    input: z.string().min(1),
    output: z.string().min(1),
    group: z.string().min(1).optional(),
    category: z.string().min(1).optional(),
  }),
});
const outputSchema = datasetOutputSchema.extend({
  /** Names of the source's columns; of JSON Lines, the keys of the first thousand objects. */
  columns: z.array(z.string()),
  format: dataFormatSchema,
  sourceSizeBytes: z.int().nonnegative(),
  sourceSha256: z.string(),
});

/** A very wide table's names would not fit into a history. */
const MAX_COLUMNS_REPORTED = 1000;

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/**
 * `curate.read@1`: reads a file into a dataset. `row` counts the source's records from 1 and never changes; `id` is
 * `r` and that number. Throws `FILE_NOT_FOUND`, `DATA_UNREADABLE` with the line, `DATA_COLUMN_MISSING`.
 */
export function readKind(options: CurationOptions): StepKindV1<With, Output> {
  return curationStep({
    kind: CURATION_KINDS.read,
    title: 'Read a data file',
    withSchema,
    outputSchema,
    summarize: (input) => `read ${sourceName(input['source'])}`,
    // A path does not say what is in the file: the digest of its bytes does.
    doCacheSalt: async (input, services, signal) => (await locate(input.source, services, signal)).sha256,
    doRun: async (input, context) =>
      await withDatabase(context, options, async (database) => await read(database, input, context), [
        await sourcePath(input.source, context),
      ]),
  });
}

async function read(database: StepDatabase, input: With, context: StepContext): Promise<Output> {
  database.phase = 'reading the file';
  const file = await openSource(input.source, context);
  const columns = await load(database, file, input.columns);
  const after = await locate(input.source, context, context.signal);
  if (after.sha256 !== file.sha256) throw unreadable(file, 0, 'it changed while it was read');
  const names = mappedColumns(input.columns).map(({ column }) => column);
  const dataset = await publishSelect(
    database,
    context,
    `SELECT row, 'r' || row AS id, ${names.join(', ')} FROM raw ORDER BY row`,
    'dataset',
  );
  return {
    dataset,
    rows: await database.number('SELECT count(*) FROM raw'),
    dropped: 0,
    droppedSamples: await context.store.putJson([]),
    sizeBytes: dataset.sizeBytes,
    columns: columns.slice(0, MAX_COLUMNS_REPORTED),
    format: file.format,
    sourceSizeBytes: file.sizeBytes,
    sourceSha256: file.sha256,
  };
}

async function load(database: StepDatabase, file: SourceFile, map: ColumnMap): Promise<string[]> {
  switch (file.format) {
    case 'csv':
    case 'tsv':
      return await loadDelimited(database, file, map, file.format);
    case 'jsonl':
      return await loadJsonLines(database, file, map);
    case 'parquet':
      return await loadParquet(database, file, map);
  }
}

function sourceName(source: unknown): string {
  if (typeof source !== 'object' || source === null) return 'the data';
  if ('path' in source && typeof source.path === 'string') return source.path;
  if ('name' in source && typeof source.name === 'string') return source.name;
  return 'an artifact';
}

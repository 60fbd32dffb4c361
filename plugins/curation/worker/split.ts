import { version } from '@duckdb/node-api';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishSelect } from './dataset.ts';
import type { OpenDataset } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';
import { SPLITS, assignGroups } from './split/assign.ts';
import type { Assignment, SplitName } from './split/assign.ts';
import { checkContamination } from './split/contamination.ts';
import { makeGroups, makeKeys } from './split/groups.ts';
import { splitInputSchema, splitOutputSchema } from './split/options.ts';
import type { SplitInput, SplitOutput } from './split/options.ts';
import { profileSplits } from './split/profile.ts';
import { tooFewRows } from './split/too-few-rows.ts';

type PerSplit<T> = Record<SplitName, T>;

/**
 * `curate.split@1`: train, dev and test of exactly the sizes asked for. Rows of one group or one parent, with the same input (also
 * with its words in another order) or with the same long answer never straddle two splits. Equal content and seed give
 * equal splits. Throws `DATA_TOO_FEW_ROWS`.
 */
export function splitKind(options: CurationOptions): StepKindV1<SplitInput, SplitOutput> {
  return curationStep({
    kind: CURATION_KINDS.split,
    title: 'Split into train, dev and test',
    withSchema: splitInputSchema,
    outputSchema: splitOutputSchema,
    countsRows: false,
    summarize: () => 'split into train, dev and test without shared rows',
    // Files of before the optional columns were passed on must not come out of a cache.
    doCacheSalt: async () => 'with optional columns',
    doRun: (input, context) => withDatabase(context, options, (database) => split(database, input, context)),
  });
}

async function split(database: StepDatabase, input: SplitInput, context: StepContext): Promise<SplitOutput> {
  const source = await openDataset(database, context, input.dataset);
  await refuseNulls(database, input);
  await makeKeys(database, source);
  const groups = await makeGroups(database, source.rows, input.seed);
  const { assignments, missing } = assignGroups(groups, input.sizes);
  if (missing > 0) throw tooFewRows({ usable: source.rows, groups, missing }, input.sizes, input.lineage);
  await makeChosen(database, assignments, input.seed);
  const files = await perSplit((name) => publishSplit(database, context, source, name));
  const paths = await perSplit((name) => context.store.localPath(files[name]));
  const facts = {
    rows: input.sizes,
    unused: source.rows - input.sizes.train - input.sizes.dev - input.sizes.test,
    groups: groups.length,
    largestGroup: groups.reduce((most, group) => Math.max(most, group.size), 0),
    contamination: await checkContamination(database, paths),
    profile: await profileSplits(database, paths),
  };
  const manifest = await context.store.putJson({ ...manifestOf(input, source, files), ...facts });
  const sizeBytes = SPLITS.reduce((sum, name) => sum + files[name].sizeBytes, 0);
  return { ...files, ...facts, manifest, sizeBytes };
}

async function refuseNulls(database: StepDatabase, input: SplitInput): Promise<void> {
  const rows = await database.number('SELECT count(*) FROM src WHERE input IS NULL OR output IS NULL');
  if (rows === 0) return;
  const message = `${rows} rows have no input or no output. Put ${CURATION_KINDS.nullFilter} before the split.`;
  throw new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { uri: input.dataset.uri, rows } });
}

async function perSplit<T>(make: (name: SplitName) => Promise<T>): Promise<PerSplit<T>> {
  const made: [SplitName, T][] = [];
  for (const name of SPLITS) made.push([name, await make(name)]);
  return Object.fromEntries(made) as PerSplit<T>;
}

/** Makes `chosen(row, split, place)`: which rows go where, in which order. */
async function makeChosen(
  database: StepDatabase,
  assignments: readonly Assignment[],
  seed: number,
): Promise<void> {
  database.phase = 'choosing rows';
  await database.run('CREATE TABLE assigned (root INTEGER, split VARCHAR, take INTEGER)');
  const appender = await database.appender('assigned');
  for (const { root, split, take } of assignments) {
    appender.appendInteger(root);
    appender.appendVarchar(split);
    appender.appendInteger(take);
    appender.endRow();
  }
  appender.closeSync();
  await database.run(
    `CREATE TABLE chosen AS SELECT row, split, md5(ki || ':' || split || ':${seed}') AS place FROM keys
     JOIN members USING (n) JOIN assigned USING (root)
     QUALIFY row_number() OVER (PARTITION BY root ORDER BY md5(ki || ':take:${seed}'), row) <= take`,
  );
}

/** Columns of a split's files. */
const splitColumns = (source: OpenDataset): string[] => ['id', 'input', 'output', ...source.optional];

async function publishSplit(
  database: StepDatabase,
  context: StepContext,
  source: OpenDataset,
  name: SplitName,
): Promise<ArtifactRef> {
  const columns = splitColumns(source).join(', ');
  const select = `SELECT ${columns} FROM src JOIN chosen USING (row) WHERE split = '${name}' ORDER BY place, row`;
  return await publishSelect(database, context, select, name);
}

/** What a reader needs to trust the files and to make them again. */
function manifestOf(input: SplitInput, source: OpenDataset, files: PerSplit<ArtifactRef>) {
  return {
    manifestVersion: 1,
    schema: splitColumns(source).map((name) => ({ name, type: 'string' })),
    files,
    seed: input.seed,
    usable: source.rows,
    dataset: input.dataset,
    sourceSha256: input.lineage?.sourceSha256 ?? null,
    lineage: input.lineage?.steps ?? [],
    grouping: ['group', 'parent', 'input', 'words of the input', 'answers of five or more words'],
    duckdbVersion: version(),
  };
}

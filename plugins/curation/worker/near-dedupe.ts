import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept, publishSelect } from './dataset.ts';
import type { OpenDataset } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';
import { withClusters } from './near-dedupe/find-clusters.ts';
import type { FoundClusters } from './near-dedupe/find-clusters.ts';
import { nearDedupeInputSchema, nearDedupeOutputSchema } from './near-dedupe/options.ts';
import type { NearDedupeInput, NearDedupeOutput } from './near-dedupe/options.ts';
import { fillIntegers, numberTexts } from './near-dedupe/texts.ts';

/**
 * `curate.near-dedupe@1`: of rows whose shingles have a Jaccard similarity ≥ `threshold`, also over several steps, only
 * one stays: originals before derived rows, then the longest text, then the smallest digest of the content. Candidates
 * come from MinHash bands and are compared exactly.
 */
export function nearDedupeKind(options: CurationOptions): StepKindV1<NearDedupeInput, NearDedupeOutput> {
  return curationStep({
    kind: CURATION_KINDS.nearDedupe,
    title: 'Drop near duplicates',
    withSchema: nearDedupeInputSchema,
    outputSchema: nearDedupeOutputSchema,
    summarize: ({ threshold }) =>
      `drop rows with a Jaccard similarity ≥ ${typeof threshold === 'number' ? threshold : 'the threshold'}`,
    doRun: (input, context) =>
      withDatabase(context, options, (database) => nearDedupe({ database, input, options, context })),
  });
}

interface Place {
  readonly database: StepDatabase;
  readonly input: NearDedupeInput;
  readonly options: CurationOptions;
  readonly context: StepContext;
}

async function nearDedupe(place: Place): Promise<NearDedupeOutput> {
  const { database, context, input } = place;
  const source = await openDataset(database, context, input.dataset);
  const distinctTexts = await numberTexts(database, input);
  const { candidates, verified } = await withClusters(place, distinctTexts, async (found) => {
    await makeClusters(database, found);
    await chooseKept(database, source);
    await dropOthers(database, found, input.threshold);
    return found;
  });
  const [sizes] = await database.rows('SELECT count(*) AS n, max(size) AS most FROM sizes');
  const otherOutputs = await database.number(
    `SELECT count(*) FROM losers JOIN src USING (row) JOIN (SELECT row AS kept, output AS other FROM src) USING (kept)
     WHERE text_key(coalesce(output, '')) <> text_key(coalesce(other, ''))`,
  );
  const matches = await publishSelect(
    database,
    context,
    `SELECT row, id, kept, coalesce(jaccard, 1) AS jaccard FROM losers JOIN src USING (row)
     LEFT JOIN scores USING (t) ORDER BY row`,
    'matches',
  );
  return {
    ...(await publishKept(database, context, source)),
    matches,
    clusters: Number(sizes?.['n'] ?? 0),
    largestCluster: Number(sizes?.['most'] ?? 0),
    ...{ distinctTexts, candidates, verified, otherOutputs },
  };
}

/** Makes `members(row, t, cluster)` of the clusters of two or more rows, and their `sizes(cluster, size)`. */
async function makeClusters(database: StepDatabase, found: FoundClusters): Promise<void> {
  database.phase = 'collecting clusters';
  await database.run('CREATE TABLE linked (t INTEGER, root INTEGER)');
  const joined = [...found.roots.entries()].filter(([text, root]) => text !== root);
  await fillIntegers(database, 'linked', joined);
  await database.run(
    `CREATE TABLE clustered AS SELECT row, t, coalesce(root, t) AS cluster
     FROM near_keys JOIN texts USING (k) LEFT JOIN linked USING (t)`,
  );
  await database.run(
    'CREATE TABLE sizes AS SELECT cluster, count(*) AS size FROM clustered GROUP BY cluster HAVING count(*) > 1',
  );
  await database.run(
    'CREATE TABLE members AS SELECT row, t, cluster FROM clustered SEMI JOIN sizes USING (cluster)',
  );
}

/** Makes `losers(row, t, kept, kept_t)`. The rank is one text, so that the smallest one is the same everywhere. */
async function chooseKept(database: StepDatabase, source: OpenDataset): Promise<void> {
  const derived = source.optional.includes('parent')
    ? "CASE WHEN parent IS NULL THEN '0' ELSE '1' END"
    : "'0'";
  const shown = ['input', 'output', ...source.optional.filter((name) => name !== 'parent')];
  const content = shown.map((name) => `coalesce(${name}, chr(30))`).join(' || chr(31) || ');
  const length = 'coalesce(length(input), 0) + coalesce(length(output), 0)';
  await database.run(
    `CREATE TABLE ranked AS SELECT row, t, cluster, ${derived} || lpad((9999999999 - (${length}))::VARCHAR, 10, '0')
       || md5(${content}) || lpad(row::VARCHAR, 19, '0') AS rank
     FROM members JOIN src USING (row)`,
  );
  await database.run(
    `CREATE TABLE losers AS SELECT ranked.row AS row, ranked.t AS t, best.row AS kept, best.t AS kept_t FROM ranked
     JOIN (SELECT cluster, min(rank) AS rank FROM ranked GROUP BY cluster) firsts ON ranked.cluster = firsts.cluster
     JOIN ranked best ON best.cluster = firsts.cluster AND best.rank = firsts.rank
     WHERE ranked.row <> best.row`,
  );
}

/** Says for each dropped row which one is kept in its place and how alike the two are. */
async function dropOthers(database: StepDatabase, found: FoundClusters, threshold: number): Promise<void> {
  database.phase = 'comparing dropped rows with kept ones';
  const { t = [], kept_t: kept = [] } = await database.columns(
    'SELECT DISTINCT t, kept_t FROM losers WHERE t <> kept_t ORDER BY t',
  );
  const pairs = Int32Array.from({ length: 2 * t.length }, (_, at) =>
    Number((at % 2 === 0 ? t : kept)[at >> 1]),
  );
  const scores = await found.score(pairs);
  await database.run('CREATE TABLE scores (t INTEGER, jaccard DOUBLE)');
  const appender = await database.appender('scores');
  for (const [index, jaccard] of scores.entries()) {
    appender.appendInteger(Number(t[index]));
    appender.appendDouble(jaccard);
    appender.endRow();
  }
  appender.closeSync();
  await database.run(
    `INSERT INTO dropped SELECT row, CASE WHEN t = kept_t THEN 'same text as row ' || kept || ' (Jaccard 1.00)'
       ELSE 'near duplicate of row ' || kept || printf(' (Jaccard %.2f', jaccard)
         || CASE WHEN jaccard < ${threshold} THEN ', through rows like both' ELSE '' END || ')' END
     FROM losers LEFT JOIN scores USING (t)`,
  );
}

import { z } from 'zod';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import { MIN_ANSWER_WORDS, WORDS_KEY } from './split/groups.ts';
import { parquetTable } from './sql.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';
import type { DatasetOutput } from './step-output.ts';

const withSchema = datasetInputSchema.extend({
  /** Datasets that no row may share its question or its long answer with: dev and test, or an index. */
  against: z.array(artifactRefSchema).min(1).max(8),
});

type With = z.infer<typeof withSchema>;

/**
 * `curate.decontaminate@1`: drops rows that one of the other datasets holds, by the rule that the split uses: the same
 * input, also with its words in another order, or the same answer of five or more words.
 */
export function decontaminateKind(options: CurationOptions): StepKindV1<With, DatasetOutput> {
  return curationStep({
    kind: CURATION_KINDS.decontaminate,
    title: 'Drop rows that other datasets hold',
    withSchema,
    outputSchema: datasetOutputSchema,
    summarize: () => 'drop rows whose question or long answer is in another dataset',
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        database.phase = 'looking for shared rows';
        await database.run(WORDS_KEY);
        const paths = await Promise.all(input.against.map((ref) => context.store.localPath(ref)));
        const others = paths
          .map((path) => `SELECT input, output FROM ${parquetTable(path)}`)
          .join(' UNION ALL ');
        const long = String.raw`len(regexp_extract_all(output, '\S+')) >= ${MIN_ANSWER_WORDS}`;
        await database.run(
          `CREATE TABLE held AS SELECT md5(words_key(input)) AS k, 'input' AS part FROM (${others}) WHERE input IS NOT NULL
           UNION SELECT md5(text_key(output)), 'output' FROM (${others}) WHERE ${long}`,
        );
        await database.run(
          `INSERT INTO dropped SELECT row, 'its input is in another dataset' FROM src
           WHERE md5(words_key(input)) IN (SELECT k FROM held WHERE part = 'input')`,
        );
        await database.run(
          `INSERT INTO dropped SELECT row, 'its answer is in another dataset' FROM src
           WHERE ${long} AND md5(text_key(output)) IN (SELECT k FROM held WHERE part = 'output')
           AND row NOT IN (SELECT row FROM dropped)`,
        );
        return await publishKept(database, context, source);
      }),
  });
}

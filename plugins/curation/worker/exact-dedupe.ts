import { z } from 'zod';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';

const outputSchema = datasetOutputSchema.extend({
  /** Inputs that are left with more than one output. They are kept. */
  conflicts: z.int().nonnegative(),
});

type With = z.infer<typeof datasetInputSchema>;
type Output = z.infer<typeof outputSchema>;

/** A null is a value of its own here, unlike any text. */
const keyOf = (column: string): string => `coalesce(text_key(${column}), chr(30))`;

/**
 * Small statements that pass on row numbers and 128-bit digests, never texts: memory then stays bounded however large
 * the texts are. `md5` and not `hash`, whose values may differ between versions of the engine.
 */
async function findRepeats(database: StepDatabase): Promise<void> {
  database.phase = 'comparing rows';
  await database.run(
    `CREATE TABLE keys AS SELECT row, md5_number(${keyOf('input')} || chr(31) || ${keyOf('output')}) AS pair,
     md5_number(${keyOf('input')}) AS question FROM src`,
  );
  await database.run('CREATE TABLE firsts AS SELECT pair, min(row) AS first FROM keys GROUP BY pair');
  await database.run(
    `INSERT INTO dropped SELECT row, 'same input and output as row ' || first
     FROM keys JOIN firsts USING (pair) WHERE row <> first`,
  );
}

/** `curate.exact-dedupe@1`: of rows equal but for case and white space, only the first stays. */
export function exactDedupeKind(options: CurationOptions): StepKindV1<With, Output> {
  return curationStep({
    kind: CURATION_KINDS.exactDedupe,
    title: 'Drop repeated rows',
    withSchema: datasetInputSchema,
    outputSchema,
    summarize: () => 'drop rows equal to an earlier one but for case and white space',
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        await findRepeats(database);
        const conflicts = await database.number(
          `SELECT count(*) FROM (SELECT question FROM keys GROUP BY question HAVING count(DISTINCT pair) > 1)`,
        );
        return { ...(await publishKept(database, context, source)), conflicts };
      }),
  });
}

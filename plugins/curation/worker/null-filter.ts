import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';
import type { DatasetOutput } from './step-output.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';

const REASON = `CASE
  WHEN input IS NULL THEN 'input is null'
  WHEN input = '' THEN 'input is empty'
  WHEN is_blank(input) THEN 'input is blank'
  WHEN output IS NULL THEN 'output is null'
  WHEN output = '' THEN 'output is empty'
  WHEN is_blank(output) THEN 'output is blank'
END`;

/** `curate.null-filter@1`: drops rows whose input or output is null, empty or blank. */
export function nullFilterKind(
  options: CurationOptions,
): StepKindV1<{ readonly dataset: ArtifactRef }, DatasetOutput> {
  return curationStep({
    kind: CURATION_KINDS.nullFilter,
    title: 'Drop rows without input or output',
    withSchema: datasetInputSchema,
    outputSchema: datasetOutputSchema,
    summarize: () => 'drop rows whose input or output is null, empty or blank',
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        database.phase = 'looking for empty rows';
        await database.run(
          `INSERT INTO dropped SELECT * FROM (SELECT row, ${REASON} AS reason FROM src) WHERE reason IS NOT NULL`,
        );
        return await publishKept(database, context, source);
      }),
  });
}

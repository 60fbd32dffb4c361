import { z } from 'zod';
import {
  artifactRefSchema,
  keepRows,
  keptRowsSchema,
  type KeptRows,
  type StepKindV1,
} from 'escada/plugin-api';

const withSchema = z.strictObject({ dataset: artifactRefSchema, maxCharacters: z.int().min(1) });

type With = z.infer<typeof withSchema>;

/** A step for curation pipelines: drops rows whose answer is longer than allowed. */
export const dropLongAnswers: StepKindV1<With, KeptRows> = {
  specificationVersion: 'v1',
  kind: 'nearest-row.drop-long-answers@1',
  title: 'Drop long answers',
  resource: 'cpu',
  retry: 'idempotentWrite',
  cacheable: true,
  startToCloseTimeoutMs: 600_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema: keptRowsSchema,
  countsRows: true,
  summarize: ({ maxCharacters }) => `drop answers of more than ${JSON.stringify(maxCharacters)} characters`,
  doRun: async ({ dataset, maxCharacters }, context) =>
    await keepRows(dataset, context, ({ output }) => [...(output ?? '')].length <= maxCharacters),
};

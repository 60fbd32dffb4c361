import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { z } from 'zod';
import {
  artifactRefSchema,
  whileWatchedElsewhere,
  type StepContext,
  type StepKindV1,
} from 'escada/plugin-api';

const withSchema = z.strictObject({ dataset: artifactRefSchema, maxCharacters: z.int().min(1) });
const outputSchema = z.strictObject({ dataset: artifactRefSchema, rows: z.int(), dropped: z.int() });

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

async function run({ dataset, maxCharacters }: With, context: StepContext): Promise<Output> {
  const source = `read_parquet(${quoted(await context.store.localPath(dataset))})`;
  const kept = join(context.scratchDir, 'kept.parquet');
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  const stop = (): void => connection.interrupt();
  context.signal.addEventListener('abort', stop);
  try {
    const condition = `length(output) <= ${maxCharacters}`;
    const count = await whileWatchedElsewhere(() =>
      connection.runAndReadAll(`SELECT count(*), count(*) FILTER (${condition}) FROM ${source}`),
    );
    const [all = 0, rows = 0] = (count.getRows()[0] ?? []).map(Number);
    const select = `SELECT * FROM ${source} WHERE ${condition} ORDER BY row`;
    await whileWatchedElsewhere(() => connection.run(`COPY (${select}) TO ${quoted(kept)} (FORMAT parquet)`));
    context.signal.throwIfAborted();
    const ref = await context.store.putFile(kept, 'application/vnd.apache.parquet');
    return { dataset: ref, rows, dropped: all - rows };
  } finally {
    context.signal.removeEventListener('abort', stop);
    connection.closeSync();
    instance.closeSync();
  }
}

/** A step for curation pipelines: drops rows whose answer is longer than allowed. */
export const dropLongAnswers: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'nearest-row.drop-long-answers@1',
  title: 'Drop long answers',
  resource: 'cpu',
  retry: 'idempotentWrite',
  cacheable: true,
  startToCloseTimeoutMs: 600_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema,
  summarize: ({ maxCharacters }) => `drop answers of more than ${JSON.stringify(maxCharacters)} characters`,
  doRun: run,
};

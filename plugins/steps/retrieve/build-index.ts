import { join } from 'node:path';
import { z } from 'zod';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { RetrieverDocument } from '../../sdk/contracts/retriever.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { streamRows, type DataRow } from '../../sdk/dataset/read-rows.ts';
import { Slices } from '../../sdk/slices.ts';
import { chunks, type ChunkOptions } from './chunk.ts';

export const INDEX_TYPE = 'application/x-escada-retrieval-index';

/** An index is built in memory: more passages than this are for another retriever. */
const MAX_PASSAGES = 2_000_000;
const BEAT_EVERY_DOCUMENTS = 1000;

const withSchema = z.strictObject({
  /** Dataset with the columns `id`, `input` and `output`. */
  rows: artifactRefSchema,
  /** `documents`: `input` is a title, `output` the text. `examples`: a question and its answer, kept in one passage. */
  indexed: z.enum(['documents', 'examples']),
  /** Default: that of the configuration file, else the built-in one. */
  retriever: z.string().min(1),
  chunk: z
    .strictObject({
      maxWords: z.int().min(20).max(2000).default(160),
      overlapWords: z.int().min(0).max(500).default(30),
    })
    .prefault({}),
});

const outputSchema = z.strictObject({
  index: artifactRefSchema,
  documents: z.int().nonnegative(),
  passages: z.int().nonnegative(),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** Passages of one row. Each begins with the title, since a piece from the middle may not name what it is about. */
function* passagesOf(
  row: DataRow,
  indexed: With['indexed'],
  options: ChunkOptions,
): Generator<RetrieverDocument> {
  if (indexed === 'examples') {
    yield { id: row.id, text: `${row.input}\n${row.output}` };
    return;
  }
  const title = row.input === row.output ? '' : `${row.input}: `;
  let place = 0;
  for (const text of chunks(row.output, options))
    yield { id: `${row.id}#${place++}`, text: `${title}${text}` };
}

async function run(input: With, context: StepContext): Promise<Output> {
  const passages: RetrieverDocument[] = [];
  const slices = new Slices(context.signal);
  let documents = 0;
  for await (const row of streamRows(await context.store.localPath(input.rows))) {
    if (documents % BEAT_EVERY_DOCUMENTS === 0) context.heartbeat({ kind: 'index', documents });
    for (const passage of passagesOf(row, input.indexed, input.chunk)) {
      passages.push(passage);
      if (passages.length > MAX_PASSAGES) throw unusable(`it has more than ${MAX_PASSAGES} passages`);
      await slices.turn();
    }
    documents += 1;
  }
  if (passages.length === 0) throw unusable('no document has any text');
  const path = join(context.scratchDir, 'index');
  await context.retriever(input.retriever).doWrite(passages, path, {
    signal: context.signal,
    onProgress: (done) => context.heartbeat({ kind: 'index', documents, indexed: done }),
  });
  return { index: await context.store.putFile(path, INDEX_TYPE), documents, passages: passages.length };
}

function unusable(why: string): EscadaFailure {
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message: `The documents cannot be indexed: ${why}.` });
}

/** Cuts documents into passages and writes the index that retrieval searches. */
export const buildIndex: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'retrieve.index@1',
  title: 'Index documents',
  resource: 'cpu',
  retry: 'idempotentWrite',
  cacheable: true,
  startToCloseTimeoutMs: 3_600_000,
  heartbeatTimeoutMs: 60_000,
  withSchema: withSchema,
  outputSchema,
  names: { retriever: 'retrievers' },
  summarize: () => 'cut documents into passages and index them',
  doCacheSalt: async (input, services) => services.retriever(input.retriever).formatVersion,
  doRun: run,
};

import { z } from 'zod';
import type { StoredIndexV1 } from '../../sdk/contracts/retriever.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import { diagnosticSchema, type Diagnostic } from '../../../schemas/outcome/candidate.ts';
import { readRows, type DataRow } from '../../sdk/dataset/read-rows.ts';
import { Slices } from '../../sdk/slices.ts';

/** Hits searched to say whether the answer is anywhere that the question leads to. */
const DEEPEST = 100;

const withSchema = z.strictObject({
  index: artifactRefSchema,
  retriever: z.string().min(1),
  rows: artifactRefSchema,
  /** Numbers of passages for which recall is reported. */
  at: z.array(z.int().min(1).max(DEEPEST)).min(1).max(10),
});

const outputSchema = z.strictObject({
  /** One for each number of passages, in the order of `at`. */
  diagnostics: z.array(diagnosticSchema),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** Words only, with a blank on each side, so that "12" is not found in "120". */
const asWords = (text: string): string =>
  ` ${(text.normalize('NFC').toLowerCase().match(WORD) ?? []).join(' ')} `;

/** Place (from 1) of the first hit whose passage holds the row's answer; null when none of them does. */
async function firstPlace(row: DataRow, index: StoredIndexV1, slices: Slices): Promise<number | null> {
  const answer = asWords(row.output);
  if (answer.trim() === '') return null;
  const hits = await index.doSearch(row.input, DEEPEST);
  const texts = await index.doTexts(hits.map(({ id }) => id));
  for (const [place, text] of texts.entries()) {
    await slices.turn();
    if (asWords(text).includes(answer)) return place + 1;
  }
  return null;
}

async function run(input: With, context: StepContext): Promise<Output> {
  const { signal, store } = context;
  const rows = await readRows(await store.localPath(input.rows));
  const index = await context
    .retriever(input.retriever)
    .doOpen(await store.localPath(input.index), { signal });
  const slices = new Slices(signal);
  try {
    const places: (number | null)[] = [];
    for (const row of rows) {
      if (places.length % 100 === 0) context.heartbeat({ kind: 'recall', done: places.length });
      places.push(await firstPlace(row, index, slices));
    }
    return { diagnostics: input.at.map((k) => recallAt(k, places)) };
  } finally {
    await index.close();
  }
}

function recallAt(k: number, places: readonly (number | null)[]): Diagnostic {
  const rows = places.length;
  const found = places.filter((place) => place !== null);
  const value = found.filter((place) => place <= k).length / Math.max(1, rows);
  return {
    id: `recall@${k}`,
    title: `Recall@${k}`,
    value,
    details: { rows, [`foundAmong${DEEPEST}`]: found.length },
  };
}

/** Recall@k of retrieval: the share of rows whose answer is in one of the first k passages. */
export const measureRecall: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'retrieve.recall@1',
  title: 'Measure recall',
  resource: 'cpu',
  retry: 'idempotentWrite',
  cacheable: true,
  startToCloseTimeoutMs: 1_800_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema,
  names: { retriever: 'retrievers' },
  summarize: () => 'share of rows whose answer is among the passages found',
  doCacheSalt: async (input, services) => services.retriever(input.retriever).formatVersion,
  doRun: run,
};

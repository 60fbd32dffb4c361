/** Retrieval in a whole adaptation run: documents of the user's own, indexed, looked up, and counted. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readJsonl, type Prediction } from '../../plugins/sdk/jsonl.ts';
import type { MeasuredCandidate } from '../../schemas/outcome/candidate.ts';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { sampleRows } from './support/rows.ts';
import { runAdaptation, measuredRungs, writeRows, type FinishedRun } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec, TINY_ROWS } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

suite('retrieval in an adaptation on the tiny checkpoint', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'rag');
    await writeRows(place);
    const documents = sampleRows(TINY_ROWS).map(({ input, output }) =>
      JSON.stringify({ about: input, body: output }),
    );
    // The last one is a copy, the one before has no text: neither may become a passage.
    const lines = [...documents, JSON.stringify({ about: 'empty', body: '' }), documents[0]];
    await writeFile(join(place.dataDir, 'documents.jsonl'), `${lines.join('\n')}\n`);
    await place.startWorker();
    const spec = tinySpec();
    run = await runAdaptation(place, {
      ...spec,
      data: {
        ...spec.data,
        documents: { source: { path: 'documents.jsonl' }, columns: { title: 'about', text: 'body' } },
      },
      profile: { tuningAllowed: false },
    });
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  const output = (id: string) => run.activities.find((one) => one.id === id)?.result?.['output'];

  test('documents are curated, indexed and found', () => {
    assert.deepEqual(
      run.outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl', 'rag'],
    );
    const index = output('rag/index') as { documents: number; passages: number };
    assert.deepEqual([index.documents, index.passages], [TINY_ROWS, TINY_ROWS]);
    const record = measuredRungs(run.outcome).at(-1);
    const [first, third] = record?.diagnostics ?? [];
    assert.deepEqual([first?.id, first?.details['rows'], third?.id], ['recall@1', 8, 'recall@3']);
    assert.ok((first?.value ?? 0) > 0.9, JSON.stringify(first));
    assert.match(
      record?.reason ?? '',
      / Recall@1 0\.\d+, Recall@3 [01]\.\d+\.$|Recall@1 1\.000, Recall@3 1\.000\.$/,
    );
  });

  test('answers name the passages that stood in their prompts', async () => {
    const { candidates } = output('rag/result') as unknown as { candidates: MeasuredCandidate[] };
    assert.deepEqual(candidates.map(({ id }) => id).sort(), ['rag-top-1', 'rag-top-3']);
    const plain = (output('zero-shot/answers') as { usage: { promptTokens: number } }).usage.promptTokens;
    for (const { recipe, dev } of candidates) {
      const answers = await readJsonl<Prediction>(place.store, dev.predictions);
      assert.ok(answers.every(({ passages }) => passages?.length === recipe.retrieval?.topK));
      assert.ok(dev.usage.promptTokens > plain, 'the prompt holds passages');
    }
  });

  test('a finalist with retrieval answers the test rows with the same index', () => {
    const index = (output('rag/index') as { index: unknown }).index;
    const tested = run.outcome.test.candidates.find(({ rung }) => rung === 'rag');
    assert.ok(tested !== undefined);
    const { candidates } = output('rag/result') as unknown as { candidates: MeasuredCandidate[] };
    for (const { recipe } of candidates) assert.deepEqual(recipe.retrieval?.index, index);
  });
});

import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { FileStore } from '../../../../core/store/file-store.ts';
import { createStepActivities } from '../../../../activities/step-activities.ts';
import { diagnosticSchema } from '../../../../schemas/outcome/candidate.ts';
import { openPassages } from '../../../../plugins/steps/retrieve/passages.ts';
import { createServices } from '../../../../activities/services.ts';
import { createProjectHost } from '../../../../plugins.ts';
import type { ArtifactRef } from '../../../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../../../schemas/common/json.ts';
import type { StepResult } from '../../../../schemas/plan/pipeline-plan.ts';

const host = createProjectHost();
const folder = await mkdtemp(join(tmpdir(), 'escada-retrieve-'));
const deps = { host, store: new FileStore(join(folder, 'store')), dataRoots: [folder] };
const activities = createStepActivities(deps);
after(async () => await host.close());
const services = {
  ...createServices({ ...deps, registry: host.registry }),
  signal: new AbortController().signal,
};

async function run(kind: string, input: JsonObject): Promise<JsonObject> {
  const env = new MockActivityEnvironment();
  const activity = activities[kind] as unknown as (input: JsonObject) => Promise<StepResult>;
  const result = await env.run<[JsonObject], StepResult, typeof activity>(activity, input);
  return result.output;
}

/** A dataset as the curation steps write it. */
async function dataset(name: string, rows: readonly (readonly [string, string])[]): Promise<JsonObject> {
  const lines = rows.map(([input, output]) => JSON.stringify({ input, output })).join('\n');
  await writeFile(join(folder, name), `${lines}\n`);
  const output = await run('curate.read@1', {
    source: { path: name },
    columns: { input: 'input', output: 'output' },
  });
  return output['dataset'] as JsonObject;
}

const question = (input: string) => ({ id: 'asked', input, output: '' });

const DOCUMENTS = [
  ['Velmora kettle', 'It holds 17 litres. It is made in Lugo.'],
  ['Brandle lamp', 'Its shade is rust red. It is made in Graz.'],
  ['Torvik clock', 'It weighs 170 grams.'],
] as const;

suite('retrieval steps', () => {
  test('documents become titled passages that a question finds; equal documents give the same artifact', async () => {
    const rows = await dataset('documents.jsonl', DOCUMENTS);
    const built = await run('retrieve.index@1', { rows, indexed: 'documents', retriever: 'lexical' });
    assert.deepEqual([built['documents'], built['passages']], [3, 3]);
    const again = await run('retrieve.index@1', {
      rows,
      indexed: 'documents',
      retriever: 'lexical',
      chunk: { maxWords: 161 },
    });
    assert.deepEqual(again['index'], built['index']);
    const index = built['index'] as unknown as ArtifactRef;
    const passages = await openPassages({ retriever: 'lexical', index, topK: 1 }, services);
    assert.deepEqual(await passages.find(question('Where is the Brandle lamp made?')), [
      { id: 'r2#0', text: 'Brandle lamp: Its shade is rust red. It is made in Graz.' },
    ]);
    assert.deepEqual(await passages.find(question('…')), []);
    await passages.close();
  });

  test('recall counts whole answers among the first k passages', async () => {
    const rows = await dataset('documents.jsonl', DOCUMENTS);
    const { index = null } = await run('retrieve.index@1', {
      rows,
      indexed: 'documents',
      retriever: 'lexical',
    });
    const questions = await dataset('questions.jsonl', [
      ['Where is the Velmora kettle made?', 'Lugo'],
      ['How much does the kettle weigh, as the Torvik clock?', '170 grams'],
      ['How much does the Velmora kettle hold?', '7 litres'],
      ['Who made it?', 'Nobody'],
    ]);
    const { diagnostics } = await run('retrieve.recall@1', {
      index,
      retriever: 'lexical',
      rows: questions,
      at: [1, 3],
    });
    const found = (diagnostics as readonly unknown[]).map((one) => diagnosticSchema.parse(one));
    assert.deepEqual(
      found.map(({ id, title }) => [id, title]),
      [
        ['recall@1', 'Recall@1'],
        ['recall@3', 'Recall@3'],
      ],
    );
    const details = { rows: 4, foundAmong100: 2 };
    assert.deepEqual(
      [found[1]?.value, found[1]?.details],
      [0.5, details],
      '"7 litres" is not in "17 litres"',
    );
  });

  test('rows of questions and answers are passages as they are', async () => {
    const rows = await dataset('pairs.jsonl', [['Who?', 'Me. And you. '.repeat(200).trim()]]);
    const built = await run('retrieve.index@1', { rows, indexed: 'examples', retriever: 'lexical' });
    assert.equal(built['passages'], 1);
  });

  test('a document without a title is its text alone; an index needs a text', async () => {
    const rows = await dataset('untitled.jsonl', [['The shop opens at nine.', 'The shop opens at nine.']]);
    const { index } = await run('retrieve.index@1', { rows, indexed: 'documents', retriever: 'lexical' });
    const recipe = { retriever: 'lexical', index: index as unknown as ArtifactRef, topK: 3 };
    const passages = await openPassages(recipe, services);
    assert.deepEqual(
      (await passages.find(question('when does it open at nine'))).map(({ text }) => text),
      ['The shop opens at nine.'],
    );
    await passages.close();
    const blank = await dataset('blank.jsonl', [['x', ' ']]);
    await assert.rejects(
      run('retrieve.index@1', { rows: blank, indexed: 'documents', retriever: 'lexical' }),
      /no document has any text/,
    );
  });

  test('an unknown retriever is named with those that there are', async () => {
    const rows = await dataset('documents.jsonl', DOCUMENTS);
    await assert.rejects(
      run('retrieve.index@1', { rows, indexed: 'documents', retriever: 'lexicla' }),
      /lexicla.*lexical/s,
    );
  });
});

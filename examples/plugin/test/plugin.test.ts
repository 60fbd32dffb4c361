/** The plugin's parts on a bench: no server, no model of any size. `npm test` after `npm run build`. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRows, type ArtifactRef, type Message } from 'escada/plugin-api';
import { compileWith, openPluginBench } from 'escada/testing';
import createPlugin from 'escada-plugin-nearest-row';

const SHOWN: readonly Message[] = [
  { role: 'user', content: 'Say it.\nred wool sock' },
  { role: 'assistant', content: 'A red sock.' },
  { role: 'user', content: 'Say it.\nblue tin kettle' },
  { role: 'assistant', content: 'A blue kettle.' },
];

const asked = (question: string, shown: readonly Message[]): readonly Message[] => [
  ...shown,
  { role: 'user', content: `Say it.\n${question}` },
];

test('the model copies the answer of the nearest demonstration; without one it fails or echoes, by its option', async () => {
  for (const [options, alone] of [
    [{}, null],
    [{ withoutDemonstration: 'echo' }, 'tin kettle'],
  ] as const) {
    const bench = await openPluginBench({ plugin: createPlugin(), options });
    const context = await bench.context();
    const model = bench.registry.languageModel({ provider: 'nearest-row', id: 'words', options: {} });
    const answer = async (messages: readonly Message[]): Promise<string | undefined> => {
      const result = await model.doGenerate({
        rows: [{ id: 'r1', messages }],
        signal: context.signal,
      });
      return result.answers[0]?.text;
    };
    assert.equal(await answer(asked('tin kettle', SHOWN)), 'A blue kettle.');
    if (alone === null)
      await assert.rejects(answer(asked('tin kettle', [])), { code: 'nearest-row/NO_DEMONSTRATION' });
    else assert.equal(await answer(asked('tin kettle', [])), alone);
    await bench.close();
  }
});

test('the step drops rows whose answer is too long', async () => {
  const bench = await openPluginBench({ plugin: createPlugin() });
  await writeFile(join(bench.dataFolder, 'rows.csv'), 'in,out\na,short\nb,much longer than the others\n');
  const read = { source: { path: 'rows.csv' }, columns: { input: 'in', output: 'out' } };
  const { dataset } = await bench.run('curate.read@1', read);
  const output = await bench.run('nearest-row.drop-long-answers@1', { dataset, maxCharacters: 10 });
  assert.deepEqual([output['rows'], output['dropped']], [1, 1]);
  const rows = await readRows(await bench.store.localPath(output['dataset'] as ArtifactRef));
  assert.deepEqual(
    rows.map((row) => row.output),
    ['short'],
  );
  await bench.close();
});

test('the metric compares first words', async () => {
  const bench = await openPluginBench({ plugin: createPlugin() });
  const row = (prediction: string) => ({ input: '', prediction, reference: 'A sock.' });
  const metric = (ignoreCase: boolean) => bench.registry.metric({ id: 'first-word', with: { ignoreCase } });
  const score = (texts: readonly string[], ignoreCase = true): number => {
    const sums = [0, 0];
    for (const text of texts)
      metric(ignoreCase)
        .doRow(row(text))
        .forEach((one, at) => (sums[at] = (sums[at] ?? 0) + one));
    return metric(ignoreCase).doAggregate(sums);
  };
  assert.equal(score(['A kettle.', 'The sock.']), 0.5);
  assert.equal(score(['a sock'], false), 0);
  await bench.close();
});

test("the rung's plan compiles, and its hints reach the instruction", async () => {
  const plan = await compileWith([{ plugin: createPlugin() }], {
    name: 'test',
    task: { instruction: 'Say it.' },
    data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
    model: { provider: 'nearest-row', id: 'words' },
    metrics: { primary: { id: 'first-word' } },
    rungs: { hints: { hints: ['Be brief.'] } },
    target: 1,
    budget: { seconds: 3600 },
  });
  const rung = plan.rungs.find(({ id }) => id === 'hints');
  assert.match(JSON.stringify(rung?.plan), /Say it\. Be brief\./);
  const before = plan.flowchart.nodes['icl-enough'];
  assert.equal(
    before?.form === 'ask' && before.no,
    'hints-eligible',
    'its place is behind in-context learning',
  );
});

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';

suite('curate.decontaminate@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  async function read(name: string, rows: string[][]) {
    const file = await harness.file(name, csvOf(rows, 'in,out'));
    return (await harness.read(file, { input: 'in', output: 'out' }))['dataset'] ?? null;
  }

  test('drops rows whose question or long answer another dataset holds, and says which', async () => {
    const dataset = await read('train.csv', [
      ['Blue wool socks', 'yes'],
      ['WOOL  blue   socks', 'yes'],
      ['a hat', 'It keeps your head very warm.'],
      ['a scarf', 'yes'],
      ['gloves', 'They keep your hands warm.'],
    ]);
    const dev = await read('dev.csv', [['socks, blue wool', 'no']]);
    const test = await read('test.csv', [
      ['a cap', 'it keeps your head very warm.'],
      ['shoes', 'yes'],
    ]);
    const output = await harness.run('curate.decontaminate@1', { dataset, against: [dev, test] });
    assert.deepEqual([output['rows'], output['dropped']], [2, 3]);
    const left = await harness.rows(output['dataset']);
    assert.deepEqual(
      left.map(({ input }) => input),
      ['a scarf', 'gloves'],
    );
    const samples = await harness.json<{ reason: string }[]>(output['droppedSamples']);
    assert.deepEqual(
      samples.map(({ reason }) => reason),
      [
        'its input is in another dataset',
        'its input is in another dataset',
        'its answer is in another dataset',
      ],
    );
  });

  test('a dataset keeps nothing against itself, and everything against another', async () => {
    const rows = [
      ['one', 'first answer'],
      ['two', 'second answer'],
    ];
    const dataset = await read('a.csv', rows);
    const other = await read('b.csv', [['three', 'third answer']]);
    const kept = async (against: JsonObject['x'][]) =>
      (await harness.run('curate.decontaminate@1', { dataset, against: against as never }))['rows'];
    assert.equal(await kept([dataset]), 0);
    assert.equal(await kept([other]), 2);
  });
});

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { allocate } from '../../../plugins/curation/worker/sample/allocate.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';
import { plantedRows, randomOf, shuffled } from './planted.ts';
import { checkValue } from '../../../plugins/sdk/schema-check/check-value.ts';

const KIND = 'curate.stratified-sample@1';

interface Proportion {
  readonly category: string | null;
  readonly lengthFrom: number;
  readonly lengthTo: number;
  readonly before: number;
  readonly after: number;
}

suite('curate.stratified-sample@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  const categories = ['shoes', 'hats', 'shoes', 'bags', 'shoes', 'shoes', 'hats', 'shoes', 'shoes', 'shoes'];
  const table = plantedRows(600, 7).map(({ input, output }, index) => [
    input,
    output,
    categories[index % categories.length] ?? '',
  ]);

  async function run(options: JsonObject, rows: readonly (readonly string[])[] = table) {
    const name = await harness.file('rows.csv', csvOf(rows, 'in,out,kind'));
    const { dataset } = await harness.read(name, { input: 'in', output: 'out', category: 'kind' });
    const output = await harness.run(KIND, { dataset, ...options });
    const left = await harness.rows(output['dataset']);
    const proportions = await harness.json<Proportion[]>(output['proportions']);
    return { output, left, proportions };
  }

  test('takes so many rows, every category and length in proportion', async () => {
    const { output, left, proportions } = await run({ rows: 100 });
    assert.deepEqual([output['rows'], output['dropped'], left.length], [100, 500, 100]);
    const counts = (kind: string) => left.filter((row) => row['category'] === kind).length;
    for (const [kind, share] of [
      ['shoes', 70],
      ['hats', 20],
      ['bags', 10],
    ] as const) {
      assert.ok(Math.abs(counts(kind) - share) <= 3, `${kind}: ${counts(kind)}`);
    }
    assert.equal(proportions.length, 12);
    assert.equal(output['strata'], 12);
    assert.equal(
      proportions.reduce((sum, one) => sum + one.after, 0),
      100,
    );
    assert.ok(Number(output['largestShift']) <= 0.01, `largest shift ${Number(output['largestShift'])}`);
    for (const { category, lengthFrom, lengthTo, after } of proportions) {
      const inside = left.filter((row) => {
        const length = [...`${row['input'] as string}${row['output'] as string}`].length;
        return row['category'] === category && length >= lengthFrom && length <= lengthTo;
      });
      assert.equal(inside.length, after);
    }
  });

  test('equal: categories of any size give as many rows', async () => {
    const { left } = await run({ rows: 90, allocation: 'equal', lengthBuckets: 1 });
    const counts = ['shoes', 'hats', 'bags'].map(
      (kind) => left.filter((row) => row['category'] === kind).length,
    );
    assert.deepEqual(counts, [30, 30, 30]);
  });

  test('content and seed decide, not the order of the rows', async () => {
    const texts = async (rows: string[][], seed: number) =>
      (await run({ rows: 80, seed }, rows)).left.map((row) => row['input']).sort();
    const first = await texts(table, 1);
    assert.deepEqual(await texts(shuffled(table, 9), 1), first);
    assert.notDeepEqual(await texts(table, 2), first);
  });

  test('diverse: a template that fills the file does not fill the sample', async () => {
    const template = Array.from({ length: 450 }, (_, index) => [
      `order number ${index} of the large blue box with the long green ribbon around it`,
      'sent',
      'mail',
    ]);
    const others = plantedRows(50, 3).map(({ input }) => [input, 'sent', 'mail']);
    const rows = [...template, ...others];
    const sampled = async (diverse: boolean) => {
      const { left } = await run({ rows: 60, lengthBuckets: 1, diverse }, rows);
      return left.filter((row) => !(row['input'] as string).startsWith('order number')).length;
    };
    const [diverse, plain] = [await sampled(true), await sampled(false)];
    assert.ok(diverse >= 3 * plain, `${diverse} and ${plain} rows beside the template`);
  });

  test('shares add up for random strata, and none is overdrawn', () => {
    const random = randomOf(6);
    for (let round = 0; round < 400; round += 1) {
      const sizes = Array.from(
        { length: 1 + Math.floor(random() * 30) },
        () => 1 + Math.floor(random() ** 4 * 500),
      );
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const rows = 1 + Math.floor(random() * total);
      for (const allocation of ['proportional', 'equal'] as const) {
        const takes = allocate(sizes, rows, allocation);
        assert.equal(
          takes.reduce((sum, take) => sum + take, 0),
          rows,
          JSON.stringify({ sizes, rows, allocation }),
        );
        assert.ok(takes.every((take, index) => take >= 0 && take <= (sizes[index] ?? 0)));
        if (rows >= sizes.length) assert.ok(takes.every((take) => take >= 1));
      }
    }
  });

  test('refuses more rows than there are, and columns that are not there', async () => {
    await assert.rejects(run({ rows: 601 }), {
      code: 'DATA_TOO_FEW_ROWS',
      fields: { usable: 600, needed: 601 },
    });
    await assert.rejects(run({ rows: 10, by: 'group' }), {
      code: 'DATA_COLUMN_MISSING',
      message: /Map one with columns\.group/,
    });
    assert.equal((await run({ rows: 600 })).output['dropped'], 0);
    assert.equal((await run({ rows: 10, by: 'none', lengthOf: 'input' })).left.length, 10);
    const { withSchema } = harness.kind(KIND);
    const { dataset } = (await run({ rows: 5 })).output;
    for (const options of [{}, { rows: 0 }, { rows: 5, lengthBuckets: 0 }, { rows: 5, by: 'size' }]) {
      assert.equal(checkValue(withSchema, { dataset, ...options }).success, false, JSON.stringify(options));
    }
  });
});

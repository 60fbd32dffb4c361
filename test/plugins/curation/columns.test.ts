import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { adaptationSpecSchema } from '../../../schemas/spec/adaptation-spec.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';

const COLUMNS = { input: 'in', output: 'out', group: 'g', category: 'kind' };

suite('optional columns of datasets', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  const rows = Array.from({ length: 40 }, (_, index) => [
    `thing number  ${index}`,
    `answer ${index}`,
    `g${index % 20}`,
    index % 2 === 0 ? 'even' : 'odd',
  ]);

  async function read(): Promise<JsonObject> {
    return await harness.read(await harness.file('all.csv', csvOf(rows, 'in,out,g,kind')), COLUMNS);
  }

  /** A Parquet artifact made by a SELECT. */
  async function artifact(select: string): Promise<unknown> {
    const path = join(harness.folder, 'made.parquet');
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
    connection.closeSync();
    return await harness.store.putFile(path, 'application/vnd.apache.parquet');
  }

  test('every format maps a category', async () => {
    const expected = { row: '1', id: 'r1', input: 'a', output: 'b', grp: 'x', category: 'y' };
    const json = '{"in":"a","out":"b","g":"x","kind":"y"}\n';
    await artifact("SELECT 'a' AS in, 'b' AS out, 'x' AS g, 'y' AS kind");
    await harness.file('one.csv', csvOf([['a', 'b', 'x', 'y']], 'in,out,g,kind'));
    await harness.file('one.jsonl', json);
    for (const name of ['one.csv', 'one.jsonl', 'made.parquet']) {
      const { dataset } = await harness.read(name, COLUMNS);
      assert.deepEqual(await harness.rows(dataset), [expected], name);
    }
    await assert.rejects(harness.read('one.csv', { ...COLUMNS, category: 'knd' }), {
      code: 'DATA_COLUMN_MISSING',
      message: /no column "knd" \(mapped as category\)\. Did you mean "kind"\?/,
    });
  });

  test('a spec may name a category column and need not', () => {
    const spec = { name: 'a', task: { instruction: 'b' }, target: 0.5, budget: { seconds: 60 } };
    const data = (columns: JsonObject) => ({ source: { path: 'x.csv' }, columns });
    const parse = (columns: JsonObject) =>
      adaptationSpecSchema.parse({ ...spec, data: data(columns) }).data.columns;
    assert.deepEqual(parse({ input: 'in', output: 'out' }), { input: 'in', output: 'out' });
    assert.deepEqual(parse(COLUMNS), COLUMNS);
  });

  test('steps and the split pass them on', async () => {
    let { dataset } = await read();
    for (const kind of ['null-filter', 'normalise', 'exact-dedupe']) {
      dataset = (await harness.run(`curate.${kind}@1`, { dataset: dataset ?? null }))['dataset'];
      const [first] = await harness.rows(dataset);
      assert.deepEqual(Object.keys(first ?? {}), ['row', 'id', 'input', 'output', 'grp', 'category'], kind);
    }
    const output = await harness.run('curate.split@1', {
      dataset: dataset ?? null,
      sizes: { train: 20, dev: 8, test: 8 },
      seed: 1,
    });
    for (const { id, grp, category } of await harness.rows(output['train'])) {
      const index = Number((id as string).slice(1)) - 1;
      assert.deepEqual([grp, category], rows[index]?.slice(2));
    }
    const manifest = await harness.json<{ schema: { name: string }[] }>(output['manifest']);
    assert.deepEqual(
      manifest.schema.map(({ name }) => name),
      ['id', 'input', 'output', 'grp', 'category'],
    );
  });

  test('a file of a split is a dataset: its rows are counted from 1', async () => {
    const { dataset } = await read();
    const split = await harness.run('curate.split@1', {
      dataset: dataset ?? null,
      sizes: { train: 20, dev: 8, test: 8 },
      seed: 1,
    });
    const before = await harness.rows(split['train']);
    const output = await harness.run('curate.null-filter@1', { dataset: split['train'] ?? null });
    assert.deepEqual(
      await harness.rows(output['dataset']),
      before.map((row, index) => ({ row: String(index + 1), ...row })),
    );
  });

  test('rows derived from one original stay in one split', async () => {
    const select = `SELECT i AS row, 'r' || i AS id, 'text ' || (i * 7919) AS input, 'short ' || i AS output,
      CASE WHEN i > 30 THEN 'r' || (i - 30) END AS parent FROM range(1, 61) t(i)`;
    const ref = await artifact(select);
    const places = new Map<number, string>();
    const options = { dataset: ref, sizes: { train: 30, dev: 10, test: 10 }, seed: 5 };
    const output = await harness.run('curate.split@1', options);
    assert.equal(output['groups'], 30);
    for (const split of ['train', 'dev', 'test']) {
      for (const { id } of await harness.rows(output[split])) {
        const original = ((Number((id as string).slice(1)) - 1) % 30) + 1;
        assert.equal(places.get(original) ?? split, split, `the family of r${original} straddles`);
        places.set(original, split);
      }
    }
  });
});
